// The story's broker under policies of the test's own.
import type { Parts } from '../../src/broker/parts.js'
import { createPolicyEngine } from '../../src/policy/engine.js'
import { createGroups } from '../../src/policy/groups.js'
import { parsePolicySet } from '../../src/policy/policy-set.js'
import { generateSchema } from '../../src/policy/schema.js'

/** The same parts with this policy set, and a group `approvers` that nobody is in. */
export async function underPolicies(parts: Parts, text: string): Promise<Parts> {
  const rules = parts.rules()
  const { grants, resources } = rules.catalogue
  const schema = generateSchema({ issuers: { ci: { use: 'workload', attributes: {} } }, grants, resources })
  const groups = createGroups({ approvers: [] })
  const policySet = await parsePolicySet({ 'test.cedar': text }, { schema, groups: groups.names })
  const policy = createPolicyEngine({ policySet, grants, groups })
  return { ...parts, rules: () => ({ ...rules, policy }) }
}
