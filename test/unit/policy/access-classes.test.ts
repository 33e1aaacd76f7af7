// Access classes never imply each other: a permit of one says nothing of the others, over all pairs, however it is written.
import { describe, expect, test } from '@jest/globals'
import type { Grant } from '../../../src/grants/grant.js'
import type { Access } from '../../../src/policy/decision.js'
import { createPolicyEngine } from '../../../src/policy/engine.js'
import { createGroups } from '../../../src/policy/groups.js'
import { parsePolicySet } from '../../../src/policy/policy-set.js'
import { generateSchema } from '../../../src/policy/schema.js'
import { exampleInput, wideBounds } from '../../support/example-config.js'

const accesses: Access[] = ['read', 'write', 'deploy', 'admin']
const grant = (access: Access): Grant => ({
  action: `thing.${access}_it`,
  access,
  resourceType: 'database',
  provider: 'tokens',
  ttl: { defaultSeconds: 60, maxSeconds: 600 },
  context: {},
  standing: false,
  require: { approval: null, binding: null, maxTtlSeconds: null },
  recipe: {},
  env: {},
})
const grants = Object.fromEntries(accesses.map((access) => [`thing.${access}_it`, grant(access)]))
const resources = [{ pattern: 'database:orders', type: 'database', placeholders: [], attributes: {} }]
const schema = generateSchema({ grants, resources, issuers: { prod: { use: 'workload', attributes: {} } } })

async function verdicts(policies: string): Promise<Record<string, string>> {
  const policySet = await parsePolicySet({ 'a.cedar': policies }, { schema, groups: new Set() })
  const engine = createPolicyEngine({ policySet, grants, groups: createGroups({}) })
  return Object.fromEntries(
    accesses.map((access) => {
      const input = exampleInput({
        action: `thing.${access}_it`,
        resource: { id: 'database:orders', type: 'database', attributes: {} },
      })
      return [access, engine.decide(input, wideBounds).effect]
    }),
  )
}
const only = (permitted: readonly Access[]) =>
  Object.fromEntries(accesses.map((access) => [access, permitted.includes(access) ? 'permit' : 'deny']))

describe('of each pair of access classes', () => {
  const pairs = accesses.flatMap((one) => accesses.map((other) => [one, other] as const))
  test.each(pairs)('%s permits %s only where it is the same', async (one, other) => {
    const byClass = await verdicts(`@id("a") permit (principal, action in Action::"${one}", resource);`)
    expect(byClass[other]).toBe(one === other ? 'permit' : 'deny')
    const byName = await verdicts(`@id("a") permit (principal, action == Action::"thing.${one}_it", resource);`)
    expect(byName[other]).toBe(one === other ? 'permit' : 'deny')
  })

  test.each(pairs)('a forbid of %s forbids %s only where it is the same', async (one, other) => {
    const all = accesses.map((access) => `Action::"${access}"`).join(', ')
    const found = await verdicts(
      `@id("a") permit (principal, action in [${all}], resource);\n@id("b") forbid (principal, action in Action::"${one}", resource);`,
    )
    expect(found[other]).toBe(one === other ? 'deny' : 'permit')
  })

  test('every subset of them is exactly itself', async () => {
    for (let bits = 1; bits < 16; bits++) {
      const named = accesses.filter((_, i) => (bits & (1 << i)) !== 0)
      const list = named.map((access) => `Action::"${access}"`).join(', ')
      expect(await verdicts(`@id("a") permit (principal, action in [${list}], resource);`)).toEqual(only(named))
    }
  })
})
