// The slice must decide as the whole set does: with all policies, unpruned entities, and Cedar checking the request.
import { type EntityJson, isAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { actionEntity, principalEntity, requestContext, resourceEntity } from '../../../src/policy/cedar-request.js'
import type { DecisionInput, Verdict } from '../../../src/policy/decision.js'
import { createPolicyEngine } from '../../../src/policy/engine.js'
import { createGroups } from '../../../src/policy/groups.js'
import type { Policy } from '../../../src/policy/policy.js'
import { parsePolicySet } from '../../../src/policy/policy-set.js'
import { acquireSlice } from '../../../src/policy/slice-pool.js'
import { exampleInput, loadExample, nothingHeld, wideBounds, workload } from '../../support/example-config.js'

let example: Awaited<ReturnType<typeof loadExample>>
beforeAll(async () => {
  example = await loadExample()
})

const groupNames = ['one', 'two', 'three']
const principals = [
  'principal',
  'principal is Workload',
  'principal in Issuer::"prod"',
  'principal in Issuer::"ci"',
  'principal == Workload::"prod:a"',
  'principal in Workload::"ci:b"',
  'principal is Workload in Group::"one"',
  'principal is Workload in Issuer::"ci"',
  ...groupNames.map((group) => `principal in Group::"${group}"`),
]
const actions = [
  'action == Action::"config.read"',
  'action == Action::"database.query"',
  'action in Action::"read"',
  'action in Action::"write"',
  'action in [Action::"config.read", Action::"database.migrate"]',
  'action in [Action::"read", Action::"database.query"]',
]
const resources = [
  'resource',
  'resource is Database',
  'resource == Database::"database:orders"',
  'resource == Database::"database:x"',
]
const conditions = [
  '',
  'when { context.task.depth < 2 }',
  'when { context.session.granted.contains("a") }',
  'unless { context.account.holding.contains("a") }',
  'when { context.session == context.account }',
  'when { principal has namespace && principal.namespace == "n" }',
  'unless { principal has owner }',
  'when { resource has sensitivity && resource.sensitivity == "high" }',
  'when { [principal.account, "x"].contains("prod:a") }',
  'when { (if context.escalation then principal else principal) has agent }',
  'when { {"Var": context.binding}["Var"] == "none" }',
  'when { principal in [Group::"one", Group::"two"] }',
  'when { context.requested_ttl_seconds + 9223372036854775807 > 0 }',
  'when { context has task.depth && context["task"]["depth"] == 3 }',
  'when { context.account.granted.containsAny(context.session.granted) || context.session.holding.isEmpty() }',
  'when { context.task == {age_seconds: 1, active_leases: 0, depth: 1} }',
  'when { context has approval && context.approval.group == "x" }',
  'unless { (if context.escalation then context.account else context.session).granted.contains("b") }',
  'when { context.now > datetime("2026-01-01") }',
]

const numbers = [
  'requested_ttl_seconds',
  'recent_denials',
  'task.age_seconds',
  'task.depth',
  'task.active_leases',
  'session.active_leases',
  'account.active_leases',
]
const comparison = fc
  .tuple(
    fc.constantFrom('when', 'unless'),
    fc.constantFrom(...numbers),
    fc.constantFrom('<', '<=', '>', '>=', '==', '!='),
    fc.integer({ min: -1, max: 7 }),
    fc.boolean(),
  )
  .map(([clause, number, operator, literal, isMirrored]) => {
    const sides = [`context.${number}`, `${literal}`]
    return `${clause} { ${(isMirrored ? sides.reverse() : sides).join(` ${operator} `)} }`
  })

const policy = fc.record({
  effect: fc.constantFrom('permit', 'permit', 'permit', 'forbid'),
  principal: fc.constantFrom(...principals),
  action: fc.constantFrom(...actions),
  resource: fc.constantFrom(...resources),
  condition: fc.oneof(fc.constantFrom(...conditions), comparison),
})
const request = fc.record({
  who: fc.constantFrom('prod:a', 'prod:c', 'ci:b', 'ci:d'),
  groups: fc.subarray(groupNames),
  action: fc.constantFrom('config.read', 'database.query', 'database.migrate'),
  attributes: fc.record(
    { namespace: fc.constantFrom('n', 'm'), owner: fc.constant('o'), agent: fc.constant('g') },
    { requiredKeys: [] },
  ),
  resource: fc.constantFrom({ sensitivity: 'high' }, {}),
  depth: fc.integer({ min: 0, max: 4 }),
  counts: fc.tuple(...numbers.map(() => fc.integer({ min: 0, max: 8 }))),
  granted: fc.subarray(['a', 'b']),
  holding: fc.subarray(['a', 'b']),
})

test('a slice decides as the whole set does, for any policies and requests', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(policy, { minLength: 1, maxLength: 12 }),
      fc.array(request, { maxLength: 6 }),
      async (set, requests) => {
        const text = set
          .map(
            (one, n) =>
              `@id("p${n}") ${one.effect} (${one.principal}, ${one.action}, ${one.resource}) ${one.condition};`,
          )
          .join('\n')
        const policySet = await parsePolicySet(
          { 'a.cedar': text },
          { schema: example.schema, groups: new Set(groupNames) },
        )
        for (const one of requests) {
          const groups = { names: new Set(groupNames), groupsOf: () => one.groups }
          const engine = createPolicyEngine({ policySet, grants: example.settings.grants, groups })
          const input = inputOf(one)
          expect(outcomeOf(engine.decide(input, wideBounds))).toEqual(wholeSet(text, input, one.groups))
        }
      },
    ),
    { numRuns: 80 },
  )
})

type Request = typeof request extends fc.Arbitrary<infer R> ? R : never

function inputOf(one: Request): DecisionInput {
  const [issuer = '', subject = ''] = one.who.split(':')
  const [ttl = 0, denials = 0, age = 0, ofTask = 0, ofSession = 0, ofAccount = 0] = one.counts
  const attributes = Object.fromEntries(Object.entries(one.attributes).filter(([, value]) => value !== undefined))
  return exampleInput({
    action: one.action,
    principal: workload(issuer, subject, attributes as Record<string, string>),
    resource: { id: 'database:orders', type: 'database', attributes: one.resource as Record<string, string> },
    declared: one.action === 'database.migrate' ? { change_type: 'schema' } : {},
    requestedTtlSeconds: ttl,
    recentDenials: denials,
    task: { ageSeconds: age, depth: one.depth, activeLeases: ofTask },
    session: { ...nothingHeld, granted: one.granted, activeLeases: ofSession },
    account: { ...nothingHeld, holding: one.holding, activeLeases: ofAccount },
  })
}

function outcomeOf(verdict: Verdict): unknown {
  if (verdict.effect === 'deny') return 'reason' in verdict ? [verdict.reason, verdict.policies] : verdict
  return [verdict.effect, verdict.policies]
}

function wholeSet(text: string, input: DecisionInput, groups: string[]): unknown {
  const all = { has: () => true } as unknown as ReadonlySet<string>
  const everything = { attributes: all, context: all, wholeContext: true }
  const access = example.settings.grants[input.action]?.access ?? null
  const entities: EntityJson[] = [
    principalEntity(input.principal, groups, everything),
    actionEntity(input.action, access),
    resourceEntity(input.resource, everything),
  ]
  const [principal, action, resource] = entities.map((entity) => entity.uid)
  if (!principal || !action || !resource) throw new Error('unreachable')
  const staticPolicies = Object.fromEntries(text.split('\n').map((line, n) => [`p${n}`, line]))
  const answer = isAuthorized({
    principal,
    action,
    resource,
    context: requestContext(input, everything),
    schema: example.schema,
    validateRequest: true,
    policies: { staticPolicies },
    entities,
  })
  if (answer.type === 'failure') throw new Error(answer.errors.map((error) => error.message).join('; '))
  const { decision, diagnostics } = answer.response
  const reason = [...diagnostics.reason].sort()
  if (diagnostics.errors.length > 0) return ['policy_error', diagnostics.errors.map((error) => error.policyId).sort()]
  if (decision === 'allow') return ['permit', reason]
  return [reason.length > 0 ? 'forbidden' : 'no_permit', reason]
}

describe('the pool of parsed slices', () => {
  test('stays bounded and parses again what it let go', () => {
    const slice = (n: number) => [{ id: `p${n}`, text: `permit (principal, action == Action::"a${n}", resource);` }]
    const names = new Set<string>()
    for (let n = 0; n < 16_500; n++) names.add(acquireSlice(`pool ${n}`, slice(n)))
    expect(names.size).toBeLessThanOrEqual(16_384)
    const again = acquireSlice('pool 0', slice(0))
    expect(acquireSlice('pool 0', slice(0))).toBe(again)
  })

  test('refuses what Cedar does not take, and goes on', () => {
    expect(() => acquireSlice('bad', [{ id: 'x', text: 'permit' }])).toThrow('not taken')
    expect(acquireSlice('good', [])).toMatch(/^slice-/)
  })
})

test('10,000 policies over 100 actions (figures printed, not asserted)', async () => {
  const text = (n: number, action: string, scope: string) =>
    `@id("p${n}") permit (${scope}, action == Action::"${action}", resource is Database) when { context.task.depth <= ${n % 7} && context.session.granted.contains("x${n}") };`
  const rules = { schema: example.schema, groups: new Set<string>() }
  const { policies } = await parsePolicySet({ 'a.cedar': text(0, 'config.read', 'principal') }, rules)
  const [one] = policies
  const read = example.settings.grants['config.read']
  if (one === undefined || read === undefined) throw new Error('unreachable')
  const names = Array.from({ length: 100 }, (_, n) => `act.n${n}`)
  const many = Array.from({ length: 10_000 }, (_, n): Policy => {
    const action = names[Math.floor(n / 100)] ?? ''
    const inGroup = n % 100 < 50
    const scope = inGroup ? `principal in Group::"g${n % 200}"` : 'principal'
    const principalKey = inGroup ? `Group::"g${n % 200}"` : '*'
    return { ...one, id: `p${n}`, actions: [action], principalKey, text: text(n, action, scope) }
  })
  const groups = createGroups(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`g${n}`, [`prod:u${n}`]])))
  const engine = createPolicyEngine({
    policySet: { hash: '', files: {}, policies: many, warnings: [] },
    grants: Object.fromEntries(names.map((action) => [action, { ...read, action }])),
    groups,
  })
  const times: number[] = []
  for (let n = 0; n < 3_000; n++) {
    const input = exampleInput({ action: names[n % 100] ?? '', principal: workload('prod', 'u1') })
    const start = performance.now()
    expect(engine.decide(input, wideBounds)).toMatchObject({ reason: 'no_permit' })
    times.push(performance.now() - start)
  }
  const warm = times.slice(100).sort((a, b) => a - b)
  const at = (share: number) => (warm[Math.floor(warm.length * share)] ?? 0).toFixed(3)
  console.log(
    `decision p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; first of a slice at most ${Math.max(...times).toFixed(1)} ms`,
  )
})
