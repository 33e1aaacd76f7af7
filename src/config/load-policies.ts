// The policies that a configuration names, validated against the schema that it makes.
import { join } from 'node:path'
import type { PlainPolicyRules } from '../policy/parse-apart.js'
import { readPolicyFiles } from '../policy/policy-files.js'
import { type PolicyProblem, type PolicySet, PolicySetError, parsePolicySet } from '../policy/policy-set.js'
import { generateSchema } from '../policy/schema.js'
import { schemaInputOf } from './cross-checks.js'
import type { Settings } from './schema.js'

/** The whole set, or PolicySetError with every problem; its files are named as they are found from here. */
export async function loadPolicies(settings: Settings): Promise<PolicySet> {
  const files = await readPolicyFiles(settings.policies)
  try {
    return await parsePolicySet(files, policyRulesOf(settings))
  } catch (error) {
    if (error instanceof PolicySetError) throw new PolicySetError(inPolicyFolder(settings, error.problems))
    throw error
  }
}

/** What a set of this configuration is held against. */
export function policyRulesOf(settings: Settings): PlainPolicyRules {
  const approving = Object.values(settings.grants).filter((grant) => grant.require.approval !== null)
  return {
    schema: generateSchema(schemaInputOf(settings)),
    groups: new Set(Object.keys(settings.groups)),
    approved: new Set(approving.flatMap((grant) => [grant.action, grant.access])),
  }
}

/** Problems name files relative to the policy folder; people look for them from elsewhere. */
export function inPolicyFolder(settings: Settings, problems: readonly PolicyProblem[]): PolicyProblem[] {
  return problems.map((problem) => ({ ...problem, file: join(settings.policies, problem.file) }))
}
