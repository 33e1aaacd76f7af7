// Each member that a policy reads holds what it is named for: one that held another's would permit what nobody meant to.
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { DecisionInput, Holdings } from '../../../src/policy/decision.js'
import { createPolicyEngine, type PolicyEngine } from '../../../src/policy/engine.js'
import { createGroups } from '../../../src/policy/groups.js'
import { parsePolicySet } from '../../../src/policy/policy-set.js'
import { exampleInput, loadExample, wideBounds, workload } from '../../support/example-config.js'

let example: Awaited<ReturnType<typeof loadExample>>
beforeAll(async () => {
  example = await loadExample()
})

async function engineOf(text: string): Promise<PolicyEngine> {
  const groups = createGroups({})
  const policySet = await parsePolicySet({ 'a.cedar': text }, { schema: example.schema, groups: groups.names })
  return createPolicyEngine({ policySet, grants: example.settings.grants, groups })
}

const held = (whose: string, activeLeases: number): Holdings => ({
  activeLeases,
  holding: [`${whose} holding`],
  holdingAccess: [`${whose} holding_access`],
  holdingResources: [`${whose} holding_resources`],
  granted: [`${whose} granted`],
  grantedAccess: [`${whose} granted_access`],
  grantedResources: [`${whose} granted_resources`],
})
const input: DecisionInput = exampleInput({
  action: 'config.read',
  requestedTtlSeconds: 77,
  task: { ageSeconds: 11, depth: 12, activeLeases: 13 },
  session: held('session', 14),
  account: held('account', 15),
  recentDenials: 16,
  escalation: true,
  binding: 'dpop',
  approval: { group: 'dba', approvers: ['staff:ann', 'staff:ben'] },
})
const sets = ['holding', 'holding_access', 'holding_resources', 'granted', 'granted_access', 'granted_resources']
const rows = [
  'context.requested_ttl_seconds == 77',
  'context.task.age_seconds == 11',
  'context.task.depth == 12',
  'context.task.active_leases == 13',
  'context.session.active_leases == 14',
  'context.account.active_leases == 15',
  'context.recent_denials == 16',
  'context.escalation',
  'context.binding == "dpop"',
  'context has approval && context.approval.group == "dba"',
  'context has approval && context.approval.approvers == ["staff:ann", "staff:ben"]',
  ...['session', 'account'].flatMap((whose) =>
    sets.map((member) => `context.${whose}.${member} == ["${whose} ${member}"]`),
  ),
]

describe('a policy is given', () => {
  test.each(rows)('%s', async (condition) => {
    const only = await engineOf(
      `@id("p") permit (principal, action == Action::"config.read", resource) when { ${condition} };`,
    )
    expect(only.decide(input, wideBounds)).toMatchObject({ effect: 'permit', policies: ['p'] })
    // The whole context, because another policy of the same action reads it as one.
    const beside = await engineOf(
      `@id("p") permit (principal, action == Action::"config.read", resource) when { ${condition} };
       @id("whole") permit (principal, action == Action::"config.read", resource)
       when { (if context.escalation then context else context).binding == "dpop" };`,
    )
    expect(beside.decide(input, wideBounds)).toMatchObject({ effect: 'permit', policies: ['p', 'whole'] })
  })

  test('no approval where the request names none', async () => {
    const engine = await engineOf(
      '@id("p") permit (principal, action == Action::"config.read", resource) when { context has approval };',
    )
    const { approval: _, ...without } = input
    expect(engine.decide(input, wideBounds)).toMatchObject({ effect: 'permit' })
    expect(engine.decide(without, wideBounds)).toMatchObject({ effect: 'deny', reason: 'no_permit' })
  })

  test("a lease's action and access class, where an operator acts on one", async () => {
    const engine = await engineOf(
      `@id("a") permit (principal is Operator, action == Action::"operate.retry", resource)
       when { context has action && context.action == "config.read" };
       @id("c") permit (principal is Operator, action == Action::"operate.abandon", resource)
       when { context has access && context.access == "admin" };
       @id("n") permit (principal is Operator, action == Action::"operate.view", resource)
       unless { context has action || context has access };`,
    )
    const ann = { ...workload('staff', 'ann'), use: 'operator' } as const
    const permits = (action: string, about?: { action?: string; access?: string }) =>
      engine.permitsOperator(ann, action, 'broker', about).permit
    expect(permits('operate.retry', { action: 'config.read' })).toBe(true)
    expect(permits('operate.retry', { access: 'config.read' })).toBe(false)
    expect(permits('operate.retry')).toBe(false)
    expect(permits('operate.abandon', { access: 'admin' })).toBe(true)
    expect(permits('operate.abandon', { action: 'admin' })).toBe(false)
    expect(permits('operate.view')).toBe(true)
    expect(permits('operate.view', { action: 'config.read' })).toBe(false)
    expect(permits('operate.view', { access: 'admin' })).toBe(false)
  })
})

describe('a permit of every action', () => {
  const everything = '@id("p") permit (principal is Workload, action, resource);'

  test('permits no action that the catalogue does not have on such a resource', async () => {
    const engine = await engineOf(everything)
    expect(engine.decide(input, wideBounds)).toMatchObject({ effect: 'permit', policies: ['p'] })
    const denied = { effect: 'deny', code: 'denied', reason: 'no_permit', policies: [] }
    expect(engine.decide({ ...input, action: 'unheard.of' }, wideBounds)).toEqual(denied)
    const elsewhere = { id: 'repo:acme/web', type: 'repo', attributes: {} }
    expect(engine.decide({ ...input, resource: elsewhere }, wideBounds)).toEqual(denied)
    expect(engine.decideAs({ groups: [], access: null }, input, wideBounds)).toEqual(denied)
  })

  test('permits no workload what operators do, and says so as one that no policy permits', async () => {
    const engine = await engineOf(everything)
    expect(engine.permitsOperator(input.principal, 'operate.view', 'broker')).toEqual({
      permit: false,
      policies: [],
      error: false,
    })
  })
})
