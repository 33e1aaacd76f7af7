// Records written into a ledger that went back: it still has what they speak of, as it was before. And what they say of the past
// alone, which is not to come back.
import { beforeEach, describe, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { replay } from '../../../src/broker/replay.js'
import { systemClock, toTimestamp } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import type { Task } from '../../../src/ledger/task.js'
import { activeLease, aRecord, openTask, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()
let task: Task
let records: StoredRecord[]
beforeEach(async () => {
  task = await openTask(at.ledger)
  records = []
})

const now = systemClock.now
const minute = 60_000
const day = 86_400_000
const say = (event: string, members: object, agoMs = 0) =>
  records.push({
    event,
    seq: records.length,
    instance: 'i',
    time: toTimestamp(now() - agoMs),
    ...members,
  } as StoredRecord)

function sayIssued(lease: string, reservedAgoMs: number, endsInMs: number): void {
  const deadline = toTimestamp(now() + endsInMs)
  const reservedAt = toTimestamp(now() - reservedAgoMs)
  say('lease.reserved', { lease, record: aRecord(task), deadline, reserved_at: reservedAt }, reservedAgoMs)
  const known = { sealed_handle: 'sealed', provider_expires_at: deadline, provider_ref: lease, fingerprints: [] }
  say('lease.issued', { lease, deadline, ...known }, reservedAgoMs)
}

const sayEnded = (lease: string, state: string, agoMs = 0) =>
  say('lease.ended', { lease, state, end_reason: 'released', actor: 'ci:x', attempts: 1 }, agoMs)

async function replayed(over: { memoryMs?: number; complete?: boolean } = {}) {
  const projection = new AuditProjection()
  for (const record of records) projection.apply(record)
  return await replay({ ledger: at.ledger, restoration: at.restoration }, projection, {
    memoryMs: day,
    complete: true,
    ...over,
  })
}

/** As the ledger was before an operator's word on it. */
async function aFailedLease(): Promise<string> {
  const lease = await activeLease(at.ledger, task)
  await at.ledger.endLeases([lease], { reason: 'released', actor: 'ci:x' })
  await at.ledger.claim(lease, 'w')
  await at.ledger.settle(lease, 'w', settlementOf('failed', { lookAt: now() + minute }))
  sayIssued(lease, 1000, minute)
  say('lease.revocation_failed', { lease, state: 'failed', end_reason: 'released', actor: 'ci:x', attempts: 16 }, 500)
  return lease
}

describe('a lease that the ledger has as it was', () => {
  test('active, and is over: its end is carried through again', async () => {
    const lease = await activeLease(at.ledger, task)
    sayIssued(lease, 1000, minute)
    sayEnded(lease, 'revoked')
    expect(await replayed()).toMatchObject({ ended: 1 })
    expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'revoking' })
  })

  test('failed, and was closed by an operator: it is closed', async () => {
    const lease = await aFailedLease()
    say('lease.abandon_ordered', { lease, actor: 'staff:olga', reason: 'gone' })
    await replayed()
    expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'abandoned', endActor: 'staff:olga' })
  })

  test('failed, and was to be tried again: from the first attempt on', async () => {
    const lease = await aFailedLease()
    say('lease.retry_ordered', { lease, actor: 'staff:olga' })
    await replayed()
    expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'revoking', attempts: 0, forced: true })
  })
})

describe('a lock', () => {
  const locked = (over: object = {}) => {
    const [lock, revocation] = [createId('lock', now()), createId('rev', now())]
    const members = { target: { task: task.id }, reason: 'r', actor: 'a', created_at: toTimestamp(now()) }
    say('lock.set', { lock, revocation, ...members, expires_at: null, ...over })
    return lock
  }

  test('that stands in the ledger and was removed is removed', async () => {
    const lock = locked()
    expect(await replayed()).toMatchObject({ locks: 1 })
    expect(await at.ledger.findLock(lock)).not.toBeNull()
    say('lock.removed', { lock })
    await replayed()
    expect(await at.ledger.findLock(lock)).toBeNull()
  })

  test('comes back with its end, and not at all when that has passed', async () => {
    const ends = now() + minute
    const [lock, over] = [locked({ expires_at: toTimestamp(ends) }), locked({ expires_at: toTimestamp(now() - 1000) })]
    expect(await replayed()).toMatchObject({ locks: 1 })
    expect(Number(await at.raw.zscore(`${at.tag}due:locks`, lock))).toBe(ends)
    expect(await at.ledger.findLock(over)).toBeNull()
  })
})

describe('of the past', () => {
  const granted = async () => (await at.ledger.lookHolders(task.holders)).holders[0]?.granted

  test('what was never minted was not granted', async () => {
    const lease = createId('lease', now())
    sayIssued(lease, 5000, -1000)
    sayEnded(lease, 'void')
    expect(await replayed()).toMatchObject({ granted: 0 })
    expect(await granted()).toEqual([])
  })

  test('what was granted before what is remembered is forgotten', async () => {
    const lease = createId('lease', now())
    sayIssued(lease, 5000, -1000)
    sayEnded(lease, 'revoked')
    expect(await replayed({ memoryMs: 1000 })).toMatchObject({ granted: 0 })
    expect(await granted()).toEqual([])
    expect(await replayed({ memoryMs: minute })).toMatchObject({ granted: 1 })
    expect(await granted()).toEqual(['repo.read'])
  })

  test('a lease without an end is brought back, however old, where these are all records; else another may tell of its end', async () => {
    const lease = createId('lease', now())
    sayIssued(lease, 3 * day, -2 * day)
    expect(await replayed({ complete: false })).toMatchObject({ leases: 0 })
    expect(await at.ledger.findLease(lease)).toBeNull()
    expect(await replayed()).toMatchObject({ leases: 1 })
    expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'active' })
  })

  test('an order that the ledger itself would have forgotten is not given again', async () => {
    const [old, fresh] = [createId('rev', now()), createId('rev', now())]
    const order = { target: { account: task.account }, reason: 'r', actor: 'a', matched: 0 }
    say('revocation.ordered', { revocation: old, ...order }, 2 * day + minute)
    say('revocation.ordered', { revocation: fresh, ...order }, 2 * day - minute)
    await replayed()
    expect(await at.ledger.findRevocation(old)).toBeNull()
    expect(await at.ledger.findRevocation(fresh)).not.toBeNull()
  })
})

test('of two ends of one lease the first stands, and of failures the last, in whichever order they are read', async () => {
  const [ended, failed] = [createId('lease', now()), createId('lease', now())]
  for (const lease of [ended, failed]) sayIssued(lease, 5000, minute)
  sayEnded(ended, 'expired', 1000)
  sayEnded(ended, 'revoked', 3000)
  say('lease.retry_ordered', { lease: failed, actor: 'staff:olga' }, 1000)
  say('lease.revocation_failed', { lease: failed, state: 'failed', end_reason: 'released', actor: 'ci:x' }, 3000)
  for (const order of [records, [...records].reverse()]) {
    const projection = new AuditProjection()
    for (const record of order) projection.apply(record)
    const told = new Map([...projection.leases()].map((one) => [one.lost.id, one]))
    expect(told.get(ended)).toMatchObject({ endedAs: 'revoked' })
    expect(told.get(failed)).toMatchObject({ endedAs: null, failed: false, retried: true })
  }
})
