import { beforeAll, describe, expect, test } from '@jest/globals'
import type { DecisionInput, Resource } from '../../../src/policy/decision.js'
import { createPolicyEngine, type PolicyEngine } from '../../../src/policy/engine.js'
import { createGroups } from '../../../src/policy/groups.js'
import { parsePolicySet } from '../../../src/policy/policy-set.js'
import { exampleInput, loadExample, nothingHeld, wideBounds, workload } from '../../support/example-config.js'

type Example = Awaited<ReturnType<typeof loadExample>>
let example: Example
let engine: PolicyEngine
beforeAll(async () => {
  example = await loadExample()
  engine = example.engine
})

const resource = (id: string): Resource => {
  const found = example.catalogue.findResource(id)
  if (found === undefined) throw new Error(`no resource ${id}`)
  return found
}
const decide = (over: Partial<DecisionInput>, bounds = wideBounds) => engine.decide(exampleInput(over), bounds)
const pipeline = (attributes: DecisionInput['principal']['attributes'] = {}) =>
  workload('ci', 'repo:acme/web:ref:refs/heads/main', { repository: 'acme/web', ...attributes })
const migration = (declared: DecisionInput['declared'] = { change_type: 'schema', ticket: 'OPS-1' }) => ({
  action: 'database.migrate',
  resource: resource('database:orders'),
  declared,
})
const deployment = () => ({ action: 'deploy.run', resource: resource('repo:acme/web') })
const bound = { ...wideBounds, binding: 'dpop' } as const
const operator = (roles: string[]): DecisionInput['principal'] => ({
  ...workload('staff', 'ann', { roles }),
  use: 'operator',
})

describe('the example policies', () => {
  test('pipelines-read-their-own-repository: its own, no other, and not without the attribute', () => {
    const asked = { action: 'settings.read', resource: resource('repo:acme/web') }
    expect(decide({ ...asked, principal: pipeline() })).toEqual({
      effect: 'permit',
      policies: ['pipelines-read-their-own-repository'],
      offer: { policy: 'pipelines-read-their-own-repository', maxTtlSeconds: null, approval: null, binding: null },
      ttlSeconds: 600,
    })
    const denied = { effect: 'deny', code: 'denied', reason: 'no_permit', policies: [] }
    expect(decide({ ...asked, principal: pipeline({ repository: 'acme/api' }) })).toEqual(denied)
    expect(decide({ ...asked, principal: workload('ci', 'x') })).toEqual(denied)
  })

  test('web-reads-reports: a group given by attributes', () => {
    const asked = { action: 'object.read', resource: resource('bucket:reports') }
    const web = { repository_id: '1296269', ref: 'refs/heads/main', event_name: 'push' }
    expect(decide({ ...asked, principal: pipeline(web) })).toMatchObject({ policies: ['web-reads-reports'] })
    expect(decide({ ...asked, principal: pipeline({ ...web, event_name: 'pull_request' }) })).toMatchObject({
      effect: 'deny',
      reason: 'no_permit',
    })
  })

  test('agents-query-orders: @max_ttl shortens, and below the floor it refuses', () => {
    expect(decide({})).toMatchObject({ effect: 'permit', policies: ['agents-query-orders'], ttlSeconds: 300 })
    expect(decide({}, { ...wideBounds, minTtlSeconds: 301 })).toEqual({
      effect: 'deny',
      code: 'denied',
      reason: 'lifetime',
      policies: ['agents-query-orders'],
    })
    expect(decide({ principal: workload('cluster', 'x') })).toMatchObject({ reason: 'no_permit' })
  })

  test('agents-read-config: another action of the same access class is another question', () => {
    expect(decide({ action: 'config.read' })).toMatchObject({ effect: 'permit', policies: ['agents-read-config'] })
  })

  test('migrations-need-two: approval, and only for what it names', () => {
    expect(decide(migration())).toEqual({
      effect: 'approval_required',
      policies: ['migrations-need-two'],
      offer: {
        policy: 'migrations-need-two',
        maxTtlSeconds: null,
        approval: { group: 'dba', count: 2 },
        binding: null,
      },
      ttlSeconds: 600,
      approvals: [{ group: 'dba', count: 2 }],
    })
    expect(decide(migration({ change_type: 'data', ticket: 'OPS-1' }))).toMatchObject({ reason: 'no_permit' })
    expect(decide(migration({ change_type: 'schema' }))).toMatchObject({ reason: 'no_permit' })
  })

  test('deploys-are-bound: without a key that the issuer vouches for there is nothing', () => {
    expect(decide(deployment())).toEqual({ effect: 'deny', code: 'binding_required', policies: ['deploys-are-bound'] })
    expect(decide({ ...deployment(), binding: 'dpop' }, bound)).toMatchObject({ effect: 'permit' })
  })

  test('no-deploy-after-database-writes: what was ever granted counts', () => {
    const session = { ...nothingHeld, granted: ['database.migrate'] }
    expect(decide({ ...deployment(), session }, bound)).toEqual({
      effect: 'deny',
      code: 'denied',
      reason: 'forbidden',
      policies: ['no-deploy-after-database-writes'],
    })
    const account = { ...nothingHeld, granted: ['database.migrate'] }
    expect(decide({ ...deployment(), account }, bound)).toMatchObject({ effect: 'permit' })
  })

  test('no-database-writes-after-deploy: by access class', () => {
    const session = { ...nothingHeld, grantedAccess: ['deploy'] }
    expect(decide({ ...migration(), session })).toMatchObject({ policies: ['no-database-writes-after-deploy'] })
  })

  test('not-deeper-than-two: writes and deploys only', () => {
    const task = { ageSeconds: 1, depth: 3, activeLeases: 0 }
    expect(decide({ ...migration(), task })).toMatchObject({ reason: 'forbidden', policies: ['not-deeper-than-two'] })
    expect(decide({ ...deployment(), task }, bound)).toMatchObject({ policies: ['not-deeper-than-two'] })
    expect(decide({ task })).toMatchObject({ effect: 'permit' })
  })

  test('on-call-revokes and dba-approves-database-changes: what operators may do', () => {
    const onCall = operator(['sre'])
    const dba = operator(['dba'])
    const permits = (who: DecisionInput['principal'], action: string, on: Resource | 'broker') =>
      engine.permitsOperator(who, action, on, { action: 'database.query', access: 'read' })
    expect(permits(onCall, 'operate.revoke', 'broker')).toEqual({
      permit: true,
      policies: ['on-call-revokes'],
      error: false,
    })
    expect(permits(onCall, 'operate.approve', resource('database:orders')).permit).toBe(false)
    expect(permits(dba, 'operate.approve', resource('database:orders')).policies).toEqual([
      'dba-approves-database-changes',
    ])
    expect(permits(dba, 'operate.approve', resource('repo:acme/web')).permit).toBe(false)
    expect(permits(dba, 'operate.view', 'broker').permit).toBe(false)
    expect(permits(onCall, 'operate.unlock', 'broker').permit).toBe(false)
  })
})

describe('the engine', () => {
  test('permits no operator a workload action and no workload an operate action, group or not', async () => {
    const engine = await engineOf(
      '@id("a") permit (principal in Group::"g", action == Action::"config.read", resource);',
      {
        g: ['staff:ann', 'prod:x'],
      },
    )
    expect(engine.decide(exampleInput({ action: 'config.read', principal: operator([]) }), wideBounds)).toMatchObject({
      reason: 'no_permit',
    })
    expect(
      engine.decide(exampleInput({ action: 'config.read', principal: workload('prod', 'x') }), wideBounds),
    ).toMatchObject({
      effect: 'permit',
    })
    expect(
      example.engine.permitsOperator({ ...operator(['sre']), use: 'workload' }, 'operate.view', 'broker').permit,
    ).toBe(false)
  })

  test('denies an action or a resource type that the catalogue does not know', () => {
    expect(decide({ action: 'unheard.of' })).toMatchObject({ reason: 'no_permit' })
    expect(decide({ resource: resource('repo:acme/web') })).toMatchObject({ reason: 'no_permit' })
  })

  test.each([
    ['a forbid that errs', '@id("f") forbid (principal, action == Action::"config.read", resource) when { OVERFLOW };'],
    [
      'a permit that errs beside a good one',
      '@id("f") permit (principal, action == Action::"config.read", resource) when { OVERFLOW };',
    ],
  ])('denies with policy_error for %s', async (_, policy) => {
    const overflow = 'context.requested_ttl_seconds + 9223372036854775807 > 0'
    const engine = await engineOf(
      `@id("p") permit (principal, action == Action::"config.read", resource);\n${policy.replace('OVERFLOW', overflow)}`,
    )
    expect(engine.decide(exampleInput({ action: 'config.read' }), wideBounds)).toEqual({
      effect: 'deny',
      code: 'denied',
      reason: 'policy_error',
      policies: ['f'],
    })
  })

  test('denies with policy_error what Cedar cannot read', async () => {
    const engine = await engineOf(
      '@id("p") permit (principal, action == Action::"config.read", resource) when { context.recent_denials < 3 };',
    )
    expect(engine.decide(exampleInput({ action: 'config.read', recentDenials: 0.5 }), wideBounds)).toMatchObject({
      reason: 'policy_error',
    })
  })

  test('gives policies the time, the principal and every member of the context', async () => {
    const engine =
      await engineOf(`@id("p") permit (principal == Workload::"prod:x", action == Action::"config.read", resource)
      when { context.now == datetime("2026-01-02T03:04:05Z") && context.binding == "none" && !context.escalation
        && context.task == { age_seconds: 1, depth: 0, active_leases: 0 } && context.session == context.account
        && principal.account == "prod:x" && principal.subject == "x" && principal.issuer == "prod"
        && resource.id == "orders" && resource has vault_role && resource in Database::"database:orders" };`)
    expect(
      engine.decide(exampleInput({ action: 'config.read', principal: workload('prod', 'x') }), wideBounds),
    ).toMatchObject({
      effect: 'permit',
    })
    const other = { ...nothingHeld, holding: ['x'] }
    const input = exampleInput({ action: 'config.read', principal: workload('prod', 'x'), account: other })
    expect(engine.decide(input, wideBounds)).toMatchObject({ reason: 'no_permit' })
  })

  test('names the policy set that decides', () => {
    expect(engine.hash).toBe(example.policySet.hash)
    expect(engine.hash).toMatch(/^[0-9a-f]{64}$/)
  })
})

async function engineOf(text: string, config: Record<string, string[]> = {}): Promise<PolicyEngine> {
  const groups = createGroups(config)
  const policySet = await parsePolicySet({ 'a.cedar': text }, { schema: example.schema, groups: groups.names })
  return createPolicyEngine({ policySet, grants: example.settings.grants, groups })
}
