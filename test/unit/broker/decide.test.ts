// What one look at the ledger becomes in the decision: each number of the task, the account, the run and the approval in its place.
import { beforeAll, describe, expect, test } from '@jest/globals'
import { decide, type World } from '../../../src/broker/decide.js'
import type { Parts } from '../../../src/broker/parts.js'
import type { ResolvedRequest } from '../../../src/broker/resolved-request.js'
import { systemClock } from '../../../src/core/clock.js'
import { holderId } from '../../../src/ledger/keys.js'
import type { HolderLook } from '../../../src/ledger/way-out.js'
import { createPolicyEngine } from '../../../src/policy/engine.js'
import { createGroups } from '../../../src/policy/groups.js'
import { parsePolicySet } from '../../../src/policy/policy-set.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { loadExample } from '../../support/example-config.js'
import { aTask } from '../../support/ledger.js'
import { aWorkload } from '../../support/story-config.js'

let example: Awaited<ReturnType<typeof loadExample>>
beforeAll(async () => {
  example = await loadExample()
})

const everything = '@id("p") permit (principal is Workload, action, resource);'
async function partsOf(text: string): Promise<Parts> {
  const groups = createGroups({})
  const policySet = await parsePolicySet({ 'a.cedar': text }, { schema: example.schema, groups: groups.names })
  const policy = createPolicyEngine({ policySet, grants: example.settings.grants, groups })
  return { clock: systemClock, metrics: createMetrics(), rules: () => ({ policy }) } as unknown as Parts
}

const caller = { principal: aWorkload('web', { instance: 'run-1', binding: 'dpop' }), requestId: 'req_1' }
const [account, session] = [holderId('account', 'ci:web'), holderId('session', 'ci:web#run-1')]
const now = Date.UTC(2026, 0, 2, 3, 4, 5)
const aLook = (id: string, kind: 'account' | 'session', over: Partial<HolderLook> = {}): HolderLook => ({
  id,
  kind,
  version: '0',
  activeLeases: 0,
  holding: [],
  holdingAccess: [],
  holdingResources: [],
  granted: [],
  grantedAccess: [],
  grantedResources: [],
  grantedSensitivities: [],
  grantedTtls: [],
  recentDenials: 0,
  lastLease: null,
  ...over,
})
const world = (over: Partial<World> = {}, task: Partial<World['task']> = {}): World => ({
  now,
  task: { openedAt: now - 12_900, expiresAt: now + 900_999, depth: 2, activeLeases: 3, ...task },
  holders: [
    aLook(account, 'account', { activeLeases: 5, recentDenials: 2 }),
    aLook(session, 'session', { activeLeases: 4, recentDenials: 1 }),
    aLook('somebody-above', 'account', { activeLeases: 90, recentDenials: 90 }),
  ],
  ancestors: [],
  ...over,
})
const asking = (ttlSeconds = 600): ResolvedRequest => {
  const grant = example.catalogue.resolveGrant('database.query')
  const resource = example.catalogue.resolveResource('database:orders', grant)
  const guarantees = { minTtlSeconds: 1 }
  return { grant, resource, declared: { ticket: 'OPS-1' }, provider: { name: 'far' }, guarantees, ttlSeconds } as never
}

describe('a decision rests on', () => {
  test('the task, the caller, and what its own account and run hold, whatever others do', async () => {
    const { input, verdict, above } = decide(await partsOf(everything), caller, asking(), world())
    expect(verdict).toMatchObject({ effect: 'permit', ttlSeconds: 600 })
    expect(above).toEqual([])
    expect(input).toMatchObject({
      principal: caller.principal,
      action: 'database.query',
      resource: { id: 'database:orders' },
      requestedTtlSeconds: 600,
      declared: { ticket: 'OPS-1' },
      task: { ageSeconds: 12, depth: 2, activeLeases: 3 },
      session: { activeLeases: 4 },
      account: { activeLeases: 5 },
      recentDenials: 2,
      escalation: false,
      binding: 'dpop',
      now,
    })
    expect(input).not.toHaveProperty('approval')
  })

  test('no age below zero, where the clock of a task that was just opened is ahead, and no denials of nobody', async () => {
    const { input } = decide(await partsOf(everything), caller, asking(), world({ holders: [] }, { openedAt: now + 5 }))
    expect(input).toMatchObject({ task: { ageSeconds: 0 }, recentDenials: 0, account: { activeLeases: 0 } })
  })

  test('the approval that the request names', async () => {
    const parts = await partsOf(`${everything}
      @id("f") forbid (principal, action, resource) unless { context has approval && context.approval.group == "dba" };`)
    const approval = { group: 'dba', approvers: ['staff:ann'] }
    expect(decide(parts, caller, asking(), world({ approval }))).toMatchObject({
      verdict: { effect: 'permit' },
      input: { approval },
    })
    expect(decide(parts, caller, asking(), world()).verdict).toMatchObject({ reason: 'forbidden' })
  })

  test('the ceiling of the task and of everybody above', async () => {
    const parts = await partsOf(everything)
    const [inside, outside] = [[['database.query', 'database:orders']], [['database.query', 'database:other']]] as const
    const above = (ceiling: typeof outside) => aTask({ principal: 'ci:api', account: 'ci:api', ceiling })
    const verdictOf = (seen: World) => decide(parts, caller, asking(), seen).verdict
    expect(verdictOf(world({}, { ceiling: inside }))).toMatchObject({ effect: 'permit' })
    expect(verdictOf(world({}, { ceiling: outside }))).toMatchObject({ reason: 'outside_ceiling' })
    const chain = world({ ancestors: [above(outside)] }, { ceiling: inside })
    expect(verdictOf(chain)).toMatchObject({ reason: 'outside_ceiling' })
  })
})

describe('what is decided', () => {
  test('lives no longer than is left of the task, in whole seconds', async () => {
    const parts = await partsOf(everything)
    const ttlOf = (expiresAt: number) => decide(parts, caller, asking(), world({}, { expiresAt })).verdict
    expect(ttlOf(now + 90_999)).toMatchObject({ ttlSeconds: 90 })
    expect(ttlOf(now + 900_000)).toMatchObject({ ttlSeconds: 600 })
    expect(ttlOf(now + 999)).toMatchObject({ effect: 'deny', reason: 'lifetime' })
  })

  test('is remembered by the whole minute where the end of the task cut it short, and never as more than was asked', async () => {
    const remembered = async (text: string, leftSeconds: number) =>
      decide(await partsOf(text), caller, asking(), world({}, { expiresAt: now + leftSeconds * 1000 }))
        .rememberedTtlSeconds
    expect(await remembered(everything, 61)).toBe(120)
    expect(await remembered(everything, 120)).toBe(120)
    expect(await remembered(everything, 590)).toBe(600)
    expect(await remembered(everything, 900)).toBe(600)
    const short = everything.replace('@id("p")', '@id("p") @max_ttl("50s")')
    expect(await remembered(short, 900)).toBe(50)
    expect(await remembered('@id("p") permit (principal, action == Action::"config.read", resource);', 61)).toBe(120)
  })

  test('stands within the counts that a policy reads, of the account and the run that they are of', async () => {
    const parts = await partsOf(`${everything}
      @id("f") forbid (principal, action == Action::"database.query", resource) when {
        context.account.active_leases >= 6 || context.session.active_leases >= 7 || context.task.active_leases >= 9 };`)
    const decided = decide(parts, caller, asking(), world())
    const least = { min: expect.any(Number) }
    expect(decided.counts).toEqual(
      expect.arrayContaining([
        { of: account, ...least, max: 5 },
        { of: session, ...least, max: 6 },
        { of: 'task', ...least, max: 8 },
      ]),
    )
    // Who stands above is counted by its own, too: its account may be full where the caller's is not.
    const boss = holderId('account', 'ci:boss')
    const holders = [...world().holders, aLook(boss, 'account', { activeLeases: 1 })]
    const ancestors = [aTask({ principal: 'ci:boss', account: 'ci:boss' })]
    expect(decide(parts, caller, asking(), world({ holders, ancestors })).counts).toContainEqual({
      of: boss,
      ...least,
      max: 5,
    })
    // Nobody reserves what was denied.
    expect(decide(parts, caller, asking(), world({}, { activeLeases: 9 }))).toMatchObject({
      verdict: { reason: 'forbidden' },
      counts: [],
    })
  })

  test('wants the key that the caller itself, and whoever stands above, is bound to', async () => {
    const parts = await partsOf(everything.replace('@id("p")', '@id("p") @binding("any")'))
    const codeOf = (binding: 'none' | 'dpop', above: 'none' | 'mtls' = 'mtls') =>
      decide(
        parts,
        { ...caller, principal: { ...caller.principal, binding } },
        asking(),
        world({ ancestors: [aTask({ binding: above })] }),
      ).verdict
    expect(codeOf('dpop')).toMatchObject({ effect: 'permit' })
    expect(codeOf('none')).toMatchObject({ code: 'binding_required' })
    expect(codeOf('dpop', 'none')).toMatchObject({ code: 'binding_required' })
  })

  test('says by which policies, of which set', async () => {
    const parts = await partsOf(everything)
    const { decision } = decide(parts, caller, asking(), world())
    expect(decision).toEqual({
      id: expect.stringMatching(/^dec_/),
      effect: 'permit',
      policies: ['p'],
      policySet: parts.rules().policy.hash,
    })
  })
})
