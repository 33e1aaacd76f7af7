// Several instances replay what they know, each on its own and in any order: what one of them knows to be over stays over, and
// what was lost with the ledger is not taken for what never was.
import { beforeEach, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { replay } from '../../../src/broker/replay.js'
import { systemClock, toTimestamp } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import type { Task } from '../../../src/ledger/task.js'
import { aRecord, aTask, openTask, reserve, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()
let task: Task
beforeEach(async () => {
  task = await openTask(at.ledger)
})

const now = systemClock.now
let seq = 0
const said = (event: string, members: object) =>
  ({ event, seq: ++seq, instance: 'i', time: toTimestamp(now()), ...members }) as StoredRecord

/** What one instance does with its own records. */
async function replayOwn(records: readonly StoredRecord[]): Promise<void> {
  const projection = new AuditProjection()
  for (const record of records) projection.apply(record)
  await replay({ ledger: at.ledger, restoration: at.restoration }, projection, {
    memoryMs: 86_400_000,
    complete: false,
  })
}

const reservedOf = (lease: string) => {
  const deadline = toTimestamp(now() + 60_000)
  return said('lease.reserved', { lease, record: aRecord(task), deadline, reserved_at: toTimestamp(now()) })
}

function issuedOf(lease: string): StoredRecord {
  const deadline = toTimestamp(now() + 60_000)
  const known = { sealed_handle: 'sealed', provider_expires_at: deadline, provider_ref: lease, fingerprints: [] }
  return said('lease.issued', { lease, deadline, ...known })
}

test.each([true, false])('an end that another instance knows stays one (it replays first: %s)', async (endsFirst) => {
  const gone = aTask({ account: task.account })
  const holders = gone.holders.map(({ id, kind, windowMs }) => [id, kind, windowMs])
  const times = { opened_at: toTimestamp(now()), expires_at: toTimestamp(now() + 60_000) }
  const lease = createId('lease', now())
  const opened = said('task.opened', { task: gone.id, ...gone, holders, ...times, instance_of: null })
  const one = [opened, reservedOf(lease), issuedOf(lease)]
  const other = [
    said('task.ended', { task: gone.id, outcome: 'cancelled', actor: 'ci:x' }),
    said('lease.ending', { lease, reason: 'revoked', actor: 'staff:olga' }),
  ]
  for (const records of endsFirst ? [other, one] : [one, other]) await replayOwn(records)
  expect(await at.ledger.findTask(gone.id)).toMatchObject({ state: 'ended', outcome: 'cancelled' })
  const found = await at.ledger.findLease(lease)
  expect(found).toMatchObject({ state: 'revoking', endReason: 'revoked', endActor: 'staff:olga' })
})

test('a lease that was half made when its ledger was lost is not taken for one that was never minted', async () => {
  const lease = createId('lease', now())
  await replayOwn([reservedOf(lease)])
  expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'reserved', notesLost: true })
  expect((await at.ledger.findLease(await reserve(at.ledger, task)))?.notesLost).toBeUndefined()
})

test('a lease that ends before its task is back leaves no half of one in its place', async () => {
  const other = aTask()
  const record = { ...aRecord(other), holders: task.holders.map((holder) => holder.id) }
  const lease = createId('lease', now())
  const times = { reservedAt: now(), expiresAt: now() + 60_000 }
  const lost = { id: lease, record, ...times, idempotency: null, judgedBy: null }
  expect(await at.restoration.restoreLease({ ...lost, issued: null, end: null })).toBe('restored')
  expect((await at.ledger.claim(lease, 'w')).outcome).toBe('ok')
  expect(await at.ledger.settle(lease, 'w', settlementOf('void'))).toBe(true)
  expect(await at.raw.exists(`${at.tag}t:${other.id}`)).toBe(0)
  const holders = other.holders.map((one) => [one.id, one.kind, one.windowMs] as const)
  const again = {
    id: other.id,
    record: { ...other, holders },
    openedAt: now(),
    expiresAt: now() + 60_000,
    outcome: null,
    idempotency: null,
    heartbeatSeconds: null,
  }
  expect(await at.restoration.restoreTask(again)).toBe(true)
  expect(await at.ledger.findTask(other.id)).toMatchObject({ state: 'open', activeLeases: 0 })
})
