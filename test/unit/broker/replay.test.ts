// What audit records tell, written into a ledger that has nothing of it: as if it had never been lost.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { replay } from '../../../src/broker/replay.js'
import { systemClock, toTimestamp } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import { connectFailFast } from '../../../src/ledger/connection.js'
import type { LeaseRecord } from '../../../src/ledger/lease.js'
import { createRestoration, type Restoration } from '../../../src/ledger/restoration.js'
import type { Task } from '../../../src/ledger/task.js'
import { aRecord, aTask, openTask, openTestLedger, reserve, type TestLedger } from '../../support/ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'

let redis: TestRedis
let at: TestLedger
let restoration: Restoration
let close = () => {}
beforeAll(async () => {
  redis = await startTestRedis()
  at = await openTestLedger(redis)
  const connection = connectFailFast(redis, () => undefined)
  await new Promise<void>((resolve) => connection.once('ready', resolve))
  restoration = createRestoration(connection, redis.prefix)
  close = () => connection.disconnect()
})
afterAll(async () => {
  close()
  await at?.close()
  await redis?.stop()
})

const now = systemClock.now
let seq = 0
let records: StoredRecord[] = []
let task: Task
beforeEach(async () => {
  records = []
  task = await openTask(at.ledger)
})

const say = (event: string, members: object, agoMs = 0) =>
  records.push({ event, seq: ++seq, instance: 'i', time: toTimestamp(now() - agoMs), ...members } as StoredRecord)

/** The records of a lease that was reserved and issued ten seconds ago, for a minute. */
function sayIssued(over: Partial<LeaseRecord> = {}, idempotency?: { key: string; bodySha256: string }): string {
  const lease = createId('lease', now())
  const deadline = toTimestamp(now() + 60_000)
  const reserved = { lease, record: aRecord(task, over), deadline, reserved_at: toTimestamp(now() - 10_000) }
  say('lease.reserved', { ...reserved, ...(idempotency ? { idempotency } : {}) }, 10_000)
  const issued = { sealed_handle: 'sealed', provider_expires_at: deadline, provider_ref: lease, fingerprints: [] }
  say('lease.issued', { lease, deadline, ...issued }, 9000)
  return lease
}

const failed = { state: 'failed', end_reason: 'completed', actor: 'worker', attempts: 16 }
const failure = { outcome: 'failed', evidence: 'none', at: toTimestamp(now()) }

/** Writes the records in, in any order and twice: the same must come of it. */
async function replayed() {
  const first = new AuditProjection()
  for (const record of [...records].reverse()) first.apply(record)
  const done = await replay({ ledger: at.ledger, restoration }, first, { memoryMs: 86_400_000, complete: true })
  const second = new AuditProjection()
  for (const record of records) second.apply(record)
  await replay({ ledger: at.ledger, restoration }, second, { memoryMs: 86_400_000, complete: true })
  return done
}

const holding = async () => (await at.ledger.lookHolders(task.holders)).holders[0]
const counted = async (state: string) => (await at.ledger.counts(['far'])).providers[0]?.states[state] ?? 0
const stateOf = async (lease: string) => (await at.ledger.findLease(lease))?.state

describe('a lease', () => {
  test('that was alive is active, held and due at its deadline', async () => {
    const lease = sayIssued()
    const before = await counted('active')
    expect(await replayed()).toMatchObject({ leases: 1, ended: 0 })
    expect(await counted('active')).toBe(before + 1)
    expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'active', sealedHandle: 'sealed', receipt: null })
    expect(await holding()).toMatchObject({ activeLeases: 1, holding: ['repo.read'], granted: ['repo.read'] })
  })

  test('whose revocation failed shows as failed, and can be retried or abandoned', async () => {
    const [first, second] = [sayIssued(), sayIssued()]
    for (const lease of [first, second]) {
      say('lease.ending', { lease, reason: 'completed', actor: 'ci:x' }, 5000)
      say('lease.revocation_failed', { lease, ...failed, receipt: failure }, 4000)
    }
    const before = await counted('failed')
    await replayed()
    expect(await counted('failed')).toBe(before + 2)
    expect((await at.ledger.counts(['far'])).providers[0]?.oldestOverdueMs).toBeGreaterThan(0)
    expect(await at.ledger.findLease(first)).toMatchObject({
      state: 'failed',
      endReason: 'completed',
      attempts: 16,
      receipt: { outcome: 'failed', evidence: 'none' },
    })
    expect(await at.ledger.retryLease(first)).toEqual({ outcome: 'ok' })
    expect(await at.ledger.abandonLease(second, 'staff:olga')).toEqual({ outcome: 'ok' })
    expect([await stateOf(first), await stateOf(second)]).toEqual(['revoking', 'abandoned'])
  })

  test('that an operator had retried is tried at once, and shows as failed only when it failed again', async () => {
    const [tried, again] = [sayIssued(), sayIssued()]
    for (const lease of [tried, again]) {
      say('lease.revocation_failed', { lease, ...failed, receipt: failure }, 4000)
      say('lease.retry_ordered', { lease, actor: 'staff:olga' }, 3000)
    }
    say('lease.revocation_failed', { lease: again, ...failed, receipt: failure }, 2000)
    await replayed()
    expect(await at.ledger.findLease(tried)).toMatchObject({ state: 'revoking', attempts: 0, forced: true })
    expect(await stateOf(again)).toBe('failed')
    const due = (await at.ledger.takeDue(['far'], 1000)).map(({ lease }) => lease)
    expect([due.includes(tried), due.includes(again)]).toEqual([true, false])
  })

  test('that an operator had abandoned stays so, counts as held until its natural end, and is not tried again', async () => {
    const [told, ordered] = [sayIssued({ action: 'told' }), sayIssued({ action: 'ordered' })]
    for (const lease of [told, ordered]) {
      say('lease.revocation_failed', { lease, ...failed, receipt: failure }, 4000)
      say('lease.abandon_ordered', { lease, actor: 'staff:olga', reason: 'gone' }, 3000)
    }
    // The other one's broker died before it could say so.
    const ended = { state: 'abandoned', end_reason: 'abandoned', actor: 'staff:olga', attempts: 16, receipt: failure }
    say('lease.ended', { lease: told, ...ended }, 2900)
    await replayed()
    for (const lease of [told, ordered]) {
      expect(await at.ledger.findLease(lease)).toMatchObject({
        state: 'abandoned',
        endReason: 'abandoned',
        endActor: 'staff:olga',
        receipt: { outcome: 'failed' },
      })
    }
    expect((await holding())?.holding).toEqual(['ordered', 'told'])
    expect((await at.ledger.takeDue(['far'], 1000)).map(({ lease }) => lease)).not.toContain(told)
  })

  test('that ended answers for its key and its receipt, was granted, and is not held', async () => {
    const idempotency = { key: 'key-hash', bodySha256: 'body-hash' }
    const before = await counted('active')
    const lease = sayIssued({}, idempotency)
    const receipt = { outcome: 'confirmed', evidence: 'probe_dead', at: toTimestamp(now()) }
    say('lease.ended', { lease, state: 'revoked', end_reason: 'released', actor: 'ci:x', attempts: 1, receipt }, 5000)
    expect(await replayed()).toMatchObject({ leases: 0, granted: 1 })
    expect([await counted('active'), await counted('revoked')]).toEqual([before, 0])
    expect(await at.ledger.findLease(lease)).toMatchObject({
      state: 'revoked',
      endReason: 'released',
      receipt: { outcome: 'confirmed', evidence: 'probe_dead' },
    })
    expect(await holding()).toMatchObject({ activeLeases: 0, holding: [], granted: ['repo.read'] })
    const look = await at.ledger.look(task.id, 'key-hash', null)
    expect(look).toMatchObject({ prior: { lease, bodySha256: 'body-hash' } })
    expect(await at.raw.pttl(`${at.tag}l:${lease}`)).toBeGreaterThan(80_000_000)
  })

  test('a standing copy that was released counts as held until its natural end', async () => {
    const lease = sayIssued({ revocation: 'standing' })
    const receipt = { outcome: 'not_revocable', evidence: 'none', at: toTimestamp(now()) }
    say('lease.ended', { lease, state: 'released', end_reason: 'released', actor: 'ci:x', attempts: 1, receipt }, 5000)
    await replayed()
    expect(await stateOf(lease)).toBe('released')
    expect((await holding())?.holding).toEqual(['repo.read'])
  })

  test('whose end this ledger went back behind is ended again', async () => {
    const lease = await reserve(at.ledger, task)
    say('lease.ended', { lease, state: 'revoked', end_reason: 'released', actor: 'ci:x', attempts: 1 })
    await replayed()
    expect(await stateOf(lease)).toBe('revoking')
  })
})

test("an order's leases are ended, and none that was issued after it", async () => {
  const before = sayIssued()
  const order = {
    revocation: createId('rev', now()),
    target: { account: task.account },
    reason: 'leak',
    actor: 'staff:olga',
  }
  say('revocation.ordered', { ...order, matched: 1 })
  await replayed()
  const found = await at.ledger.findRevocation(order.revocation)
  expect(found).toMatchObject({ state: 'running', reason: 'leak', actor: 'staff:olga' })
  const reached: string[] = []
  for await (const page of at.ledger.liveLeases(found?.match ?? {}, ['far'])) reached.push(...page.map(({ id }) => id))
  expect(reached).toEqual([before])
  expect(found?.match.issuedBefore).toBeLessThan(now() + 6000)
})

test('an order that was carried out while the ledger was lost reaches what came back', async () => {
  const before = sayIssued()
  const id = createId('rev', now())
  const order = { target: { account: task.account }, reason: 'leak', actor: 'staff:olga' }
  say('revocation.ordered', { revocation: id, ...order, matched: 0 })
  // Given to a broker whose Redis had come back empty: there was nothing to end, and it is over.
  const match = { account: task.account }
  await at.ledger.createRevocation({ id, match, reason: 'leak', actor: 'staff:olga', matched: 0 })
  await at.ledger.revocationScanned(id)
  expect(await at.ledger.findRevocation(id)).toMatchObject({ state: 'done' })
  await replayed()
  const found = await at.ledger.findRevocation(id)
  expect(found).toMatchObject({ state: 'running', match: { account: task.account } })
  expect(await at.raw.zscore(`${at.tag}due:revocations`, id)).not.toBeNull()
  // What is issued from here on is not what it was about.
  expect(found?.match.issuedBefore).toBeLessThan(now() + 6000)
  const reached: string[] = []
  for await (const page of at.ledger.liveLeases(found?.match ?? {}, ['far'])) reached.push(...page.map((one) => one.id))
  expect(reached).toContain(before)
})

test('an order that was carried out is not given again where nothing came back', async () => {
  const id = createId('rev', now())
  say('revocation.ordered', { revocation: id, target: { account: task.account }, reason: 'r', actor: 'a', matched: 0 })
  await at.ledger.createRevocation({ id, match: { account: task.account }, reason: 'r', actor: 'a', matched: 0 })
  await at.ledger.revocationScanned(id)
  await replayed()
  expect(await at.ledger.findRevocation(id)).toMatchObject({ state: 'done' })
})

test('a lock that another instance removed is not set again, whoever replays first', async () => {
  const lock = createId('lock', now())
  const members = {
    lock,
    target: { task: task.id },
    reason: 'r',
    actor: 'a',
    created_at: toTimestamp(now()),
    expires_at: null,
  }
  say('lock.removed', members)
  await replayed()
  records = []
  say('lock.set', { ...members, revocation: createId('rev', now()) })
  expect(await replayed()).toMatchObject({ locks: 0 })
  expect(await at.ledger.findLock(lock)).toBeNull()
})

test('an open task with heartbeats is open, and is given its whole time again', async () => {
  const lost = aTask()
  say('task.opened', {
    task: lost.id,
    principal: lost.principal,
    account: lost.account,
    instance_of: null,
    purpose: 'p',
    attributes: {},
    expires_at: toTimestamp(now() + 600_000),
    holders: lost.holders.map(({ id, kind, windowMs }) => [id, kind, windowMs]),
    chain: lost.chain,
    parent: null,
    depth: 0,
    heartbeat_seconds: 60,
  })
  expect(await replayed()).toMatchObject({ tasks: 1 })
  expect(await at.ledger.findTask(lost.id)).toMatchObject({ state: 'open', account: lost.account })
  const due = Number(await at.raw.zscore(`${at.tag}due:tasks`, lost.id))
  expect(due).toBeGreaterThan(now() + 30_000)
  expect(due).toBeLessThan(now() + 90_000)
})
