// Between the asking and the minting the world changes: policies, resources, groups, locks, and the ledger itself.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { dryRun } from '../../../src/broker/dry-run.js'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller, Parts } from '../../../src/broker/parts.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { replay } from '../../../src/broker/replay.js'
import { setLock } from '../../../src/broker/set-lock.js'
import { composeRules } from '../../../src/compose/rules.js'
import { systemClock } from '../../../src/core/clock.js'
import type { ApprovalNews } from '../../../src/ledger/approval.js'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { createRestoration } from '../../../src/ledger/restoration.js'
import { answer, aPerson, approved, ask, shipping, shipRules, wantedBy } from '../../support/approval-story.js'
import { handOver, openChild, toDelegate } from '../../support/chain.js'
import { openTestLedger } from '../../support/ledger.js'
import { startTestRedis } from '../../support/redis.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

const lastOf = async (id: string) => (await story.records()).filter((record) => record.approval === id).at(-1)

/** The same broker under other rules. */
async function under(change: Parameters<typeof shipRules>[0]): Promise<Parts> {
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-rules-'))
  try {
    const loaded = await shipRules(change)(folder, '')
    const { rules } = await composeRules(loaded.settings, loaded.file, systemClock)
    return { ...story.parts, rules: () => rules }
  } finally {
    await rm(folder, { recursive: true })
  }
}
type Texts = { config: string; policies: string }
const config = (from: string, to: string) => (text: Texts) => ({ ...text, config: text.config.replace(from, to) })
const policies = (from: string, to: string) => (text: Texts) => ({ ...text, policies: text.policies.replace(from, to) })
const repeat = (parts: Parts, { caller, task, id }: Awaited<ReturnType<typeof approved>>, over = {}) =>
  exchange(parts, caller, task.id, shipping({ approval_id: id, ...over }), null)

describe('an approval', () => {
  test('is not voided by a policy that has nothing to do with it', async () => {
    const given = await approved(story)
    const more = '@id("more") permit (principal in Issuer::"ci", action == Action::"repo.read", resource);\n'
    const parts = await under((text) => ({ ...text, policies: `${text.policies}${more}` }))
    expect(parts.rules().policy.hash).not.toBe(story.parts.rules().policy.hash)
    expect((await repeat(parts, given)).lease.record.policies).toEqual(['ship'])
  })

  test.each([
    ['the count of its offer', policies('"release:2"', '"release:1"'), ['offer']],
    ['the @id of its offer', policies('@id("ship")', '@id("ship-anew")'), ['offer']],
    ['the lifetime of its offer', policies('@max_ttl("5m")', '@max_ttl("30s")'), ['ttl_seconds']],
    ['an attribute of its resource', config('{ sensitivity: low }', '{ sensitivity: high }'), ['resource']],
    [
      'its recipe',
      config(
        'ship.run: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test"',
        'ship.run: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://other.test"',
      ),
      ['recipe'],
    ],
    [
      'that it needs none any more',
      policies('@id("ship") @approval("release:2") @max_ttl("5m")', '@id("ship") @max_ttl("5m")'),
      ['offer'],
    ],
  ])('is void when %s changed', async (_what, change, differs) => {
    const given = await approved(story)
    const mints = story.far.count('create')
    const refused = await refusalOf(repeat(await under(change), given))
    expect(refused).toMatchObject({ code: 'approval_required', members: { differs } })
    expect(await lastOf(given.id)).toMatchObject({ event: 'decision.approval_required', differs })
    expect(story.far.count('create')).toBe(mints)
    expect(await story.parts.ledger.leasesOfTask(given.task.id)).toEqual([])
  })

  test('does not count any more when one who agreed was removed from the group, or may not approve', async () => {
    const given = await approved(story)
    for (const change of [
      config('"staff:rosa", ', ''),
      policies(
        'permit (principal in Group::"release", action in',
        'permit (principal == Operator::"staff:olga", action in',
      ),
    ]) {
      const refused = await refusalOf(repeat(await under(change), given))
      expect(refused).toMatchObject({ code: 'approval_required', detail: expect.stringMatching(/does not count/) })
      expect(await lastOf(given.id)).toMatchObject({ code: 'approval_required', why: expect.stringMatching(/count/) })
    }
    await repeat(story.parts, given)
  })

  test('does not count any more when the issuer would not vouch for one who agreed', async () => {
    const given = await approved(story)
    const parts = await under(config('audience: staff }', 'audience: staff, require: { sub: [olga, pete] } }'))
    expect(await refusalOf(repeat(parts, given))).toMatchObject({ code: 'approval_required' })
    expect(await lastOf(given.id)).toMatchObject({ code: 'approval_required', why: expect.stringMatching(/count/) })
    expect(await story.parts.ledger.leasesOfTask(given.task.id)).toEqual([])
    await repeat(story.parts, given)
  })

  test('is given by the same answer once more, where that is enough by now', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const { id } = await ask(story, caller, task)
    await answer(story, id, aPerson('olga'))
    const without = { parts: await under(config('"staff:olga", ', '')) }
    expect((await answer(without, id, aPerson('rosa'))).state).toBe('pending')
    expect((await answer(story, id, aPerson('rosa'))).state).toBe('approved')
    expect(await lastOf(id)).toMatchObject({ event: 'approval.answered', actor: 'staff:rosa', state: 'approved' })
    await exchange(story.parts, caller, task.id, shipping({ approval_id: id }), null)
  })

  test('that does not count any more is asked for anew, and the old one is over for good', async () => {
    const given = await approved(story)
    const parts = await under(config('"staff:rosa", ', ''))
    const anew = await wantedBy(exchange(parts, given.caller, given.task.id, shipping(), null))
    expect([anew.id === given.id, anew.state, anew.votes]).toEqual([false, 'pending', []])
    expect(await lastOf(given.id)).toMatchObject({ event: 'approval.expired', reason: 'approver_removed' })
    // Not even where who agreed is back again: else two would be good for one request.
    expect(await codeOf(repeat(story.parts, given))).toBe('approval_required')
    expect((await wantedBy(story.buy(given.caller, given.task, shipping()))).id).toBe(anew.id)
  })

  test('buys nothing while somebody who agreed is locked', async () => {
    const given = await approved(story)
    const mints = story.far.count('create')
    const target = { principal: 'staff:rosa' }
    const { lock } = await setLock(story.parts, story.operator(), { target, reason: 'a stolen session' })
    const refused = await refusalOf(repeat(story.parts, given))
    expect(refused).toMatchObject({ code: 'locked', detail: expect.stringContaining('a stolen session') })
    expect(story.far.count('create')).toBe(mints)
    expect((await story.parts.ledger.findApproval(given.id))?.state).toBe('approved')
    await removeLock(story.parts, story.operator(), lock)
    await repeat(story.parts, given)
  })

  test('does not bend a rule: the repeat is decided again with what is held by then', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const unsure = { action: 'ship.unsure' }
    const { id } = await ask(story, caller, task, unsure)
    await answer(story, id, aPerson('olga'))
    const { lease } = await story.buy(caller, task)
    const mints = story.far.count('create')
    const refused = await refusalOf(story.buy(caller, task, shipping({ ...unsure, approval_id: id })))
    expect(refused).toMatchObject({ code: 'denied', members: { decision: { policies: ['not-while-reading'] } } })
    expect(story.far.count('create')).toBe(mints)
    expect((await story.parts.ledger.findApproval(id))?.state).toBe('approved')
    expect((await story.parts.ledger.leasesOfTask(task.id)).filter((one) => one !== lease.id)).toEqual([])
  })

  test('is neither asked for nor given nor used while its target is locked', async () => {
    const given = await approved(story)
    const { id } = await ask(story, given.caller, given.task, { resource: 'repo:acme/other' })
    const lockOn = async (target: { principal: string }) =>
      (await setLock(story.parts, story.operator(), { target, reason: 'incident' })).lock
    const lock = await lockOn({ principal: given.caller.principal.id })
    for (const work of [
      () => story.buy(given.caller, given.task, shipping({ resource: 'repo:acme/third' })),
      () => answer(story, id, aPerson('olga')),
      () => repeat(story.parts, given),
    ]) {
      expect(await codeOf(work())).toBe('locked')
    }
    await removeLock(story.parts, story.operator(), lock)
    const onOlga = await lockOn({ principal: 'staff:olga' })
    expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('locked')
    expect((await answer(story, id, aPerson('olga'), 'deny')).state).toBe('denied')
    await removeLock(story.parts, story.operator(), onOlga)
  })
})

test('no human behind anybody above in the chain may approve what is asked below', async () => {
  const boss = story.caller(undefined, { person: 'olga@acme.example' })
  const helper = story.caller()
  const pair = { action: 'ship.run', resource: 'repo:acme/web' }
  const { delegation } = await handOver(story, boss, await story.task(boss), toDelegate(helper), [pair])
  const { task } = await openChild(story, helper, delegation.id)
  const { id } = await ask(story, helper, task)
  expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('not_permitted')
  await answer(story, id, aPerson('rosa'))
  expect((await answer(story, id, aPerson('pete'))).state).toBe('approved')
  const { lease } = await story.buy(helper, task, shipping({ approval_id: id }))
  expect(lease.record.chain).toHaveLength(2)
})

test('nobody acts below somebody whom the issuer would not vouch for any more', async () => {
  const [boss, helper] = [story.caller(), story.caller()]
  const pair = { action: 'repo.read', resource: 'repo:acme/web' }
  const { delegation } = await handOver(story, boss, await story.task(boss), toDelegate(helper), [pair])
  const { task } = await openChild(story, helper, delegation.id)
  const seen = story.far.seen.length
  const require = (who: readonly Caller[]) =>
    under(
      config(
        'ci: { type: oidc,',
        `ci: { type: oidc, require: { sub: ${JSON.stringify(who.map(({ principal }) => principal.subject))} },`,
      ),
    )
  const request = { action: 'repo.read', resource: 'repo:acme/web', context: {} }
  const refused = await refusalOf(exchange(await require([helper]), helper, task.id, request, null))
  expect(refused).toMatchObject({ code: 'not_permitted', detail: expect.stringContaining(boss.principal.id) })
  expect(story.far.seen).toHaveLength(seen)
  // Nor is anything opened there, or anybody asked.
  const anew = await handOver(story, boss, await story.task(boss), toDelegate(helper), [pair])
  const opening = { purpose: 'p', delegation: anew.delegation.id, credentials: [request] }
  const opened = openTask(await require([helper]), helper, opening, null)
  expect(await refusalOf(opened)).toMatchObject({ code: 'not_permitted' })
  expect((await story.parts.ledger.findDelegation(anew.delegation.id))?.opened).toBeNull()
  expect((await exchange(await require([helper, boss]), helper, task.id, request, null)).lease.state).toBe('active')
})

test('a task with several credentials waits for all that want it, and nothing is minted', async () => {
  const caller = story.caller()
  const mints = story.far.count('create')
  const credentials = [shipping(), { action: 'repo.read', resource: 'repo:acme/web', context: {} }]
  const opened = await openTask(story.parts, caller, { purpose: 'p', credentials }, null)
  expect(opened).toMatchObject({ task: { state: 'open' }, credentials: [], approvals: [{ state: 'pending' }] })
  expect(story.far.count('create')).toBe(mints)
  expect((await wantedBy(story.buy(caller, opened.task, shipping()))).id).toBe(opened.approvals[0]?.id)
  // An approval is for one task: it buys nothing in a new one.
  const foreign = { purpose: 'p', credentials: [shipping({ approval_id: opened.approvals[0]?.id ?? '' })] }
  expect(await codeOf(openTask(story.parts, caller, foreign, null))).toBe('not_found')
})

test('an opening repeated with its key is the same task for whoever opened it, and for nobody else', async () => {
  const caller = story.caller()
  const request = { purpose: 'p', credentials: [shipping({ action: 'ship.task' })] }
  const idempotency = { key: `${caller.principal.account}-open`, bodySha256: 'b' }
  const open = (who: Caller) => openTask(story.parts, who, request, idempotency)
  const { task, approvals } = await open(caller)
  const again = await open(caller)
  expect([again.task.id, again.approvals]).toEqual([task.id, approvals])
  // Another job of the same run: the same account and instance, another subject.
  const { account, instance } = caller.principal
  const other = story.caller(undefined, { account, instance })
  const refused = await refusalOf(open(other))
  expect(refused).toMatchObject({ code: 'already_issued' })
  expect((await story.records('task.opened')).filter(({ task: of }) => of === task.id)).toHaveLength(2)
  // The recipe names the task: what is approved after the repeat is what is bought.
  const [{ id } = { id: '' }] = again.approvals
  await answer(story, id, aPerson('olga'))
  const { lease } = await story.buy(caller, task, shipping({ action: 'ship.task', approval_id: id }))
  expect(lease.record.task).toBe(task.id)
})

test('a dry run asks nobody', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const { decision, ttlSeconds } = await dryRun(story.parts, caller, task.id, shipping())
  expect({ effect: decision.effect, ttlSeconds }).toEqual({ effect: 'approval_required', ttlSeconds: 60 })
  expect(await story.parts.ledger.listApprovals(task.account, null, 10)).toEqual([])
})

test('the purpose is shown without what deceives, and whoever wants to know is told', async () => {
  const told: [ApprovalNews, string][] = []
  const parts: Parts = { ...story.parts, announce: (news, { id }) => told.push([news, id]) }
  const caller = story.caller()
  const purpose = 'harmless\u202e\u2066 evil\u200b\u0007\u2028\u{e0041} text'
  const { task } = await openTask(story.parts, caller, { purpose }, null)
  const { id, record } = await wantedBy(exchange(parts, caller, task.id, shipping(), null))
  expect(record.purpose).toBe('harmless evil text')
  expect(told).toEqual([['requested', id]])
})

test('what is recorded is enough to rebuild them: a used one can never be used again', async () => {
  const used = await approved(story)
  await repeat(story.parts, used)
  const given = await approved(story)
  const caller = story.caller()
  const task = await story.task(caller)
  const pending = await ask(story, caller, task)
  await answer(story, pending.id, aPerson('olga'))
  const denied = await ask(story, caller, task, { resource: 'repo:acme/other' })
  await answer(story, denied.id, aPerson('olga'), 'deny')
  const over = await ask(story, caller, task, { resource: 'repo:acme/third' })
  const redis = await startTestRedis()
  const other = await openTestLedger(redis)
  const connection = connectFailFast(redis, () => undefined)
  try {
    await untilReady(connection, 5000)
    const restoration = createRestoration(connection, redis.prefix)
    const records = (await story.records()) as unknown as StoredRecord[]
    const isMint = ({ event, approval }: StoredRecord) =>
      approval === used.id && (event === 'approval.used' || event === 'lease.reserved')
    // As instances would replay: one that knows the use alone, then one that knows the rest.
    for (const part of [records.filter(isMint), records.filter((record) => !isMint(record)), records]) {
      const projection = new AuditProjection()
      for (const record of part) projection.apply(record)
      await replay({ ledger: other.ledger, restoration }, projection, { memoryMs: 86_400_000, complete: true })
    }
    for (const { id } of [used, given, pending, denied, over]) {
      const [was, is] = [await story.parts.ledger.findApproval(id), await other.ledger.findApproval(id)]
      expect(is).toEqual(was)
    }
    const again = await refusalOf(repeat({ ...story.parts, ledger: other.ledger }, used))
    expect(again.code).toBe('already_issued')
    expect(await other.ledger.listApprovals(task.account, null, 10)).toHaveLength(3)
  } finally {
    connection.disconnect()
    await other.close()
    await redis.stop()
  }
})
