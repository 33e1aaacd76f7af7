// A ledger that went back to what it was before: a lease stands there as it stood then, and its records say more.
import { beforeEach, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { replay } from '../../../src/broker/replay.js'
import { systemClock, toTimestamp } from '../../../src/core/clock.js'
import type { Task } from '../../../src/ledger/task.js'
import { activeLease, aRecord, openTask, reserve } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()
let task: Task
beforeEach(async () => {
  task = await openTask(at.ledger)
})

const deadline = toTimestamp(systemClock.now() + 60_000)
let seq = 0
const said = (event: string, lease: string, members: object) =>
  ({ event, seq: ++seq, instance: 'i', time: toTimestamp(systemClock.now()), lease, ...members }) as StoredRecord

/** Reserved and issued, as the records have it. */
function issued(lease: string): StoredRecord[] {
  const known = { sealed_handle: 'whole', provider_expires_at: deadline, provider_ref: lease, fingerprints: ['f'] }
  return [
    said('lease.reserved', lease, { record: aRecord(task), deadline, reserved_at: toTimestamp(systemClock.now()) }),
    said('lease.issued', lease, { deadline, ...known }),
  ]
}

async function replayOwn(records: readonly StoredRecord[]): Promise<void> {
  const projection = new AuditProjection()
  for (const record of records) projection.apply(record)
  await replay({ ledger: at.ledger, restoration: at.restoration }, projection, {
    memoryMs: 86_400_000,
    complete: false,
  })
}

test('a handle that was noted halfway is completed: the whole one names all that there is to end', async () => {
  const lease = await reserve(at.ledger, task)
  // As at Vault: its token is noted first, the secret that is read with it next. The second note is what Redis lost.
  await at.ledger.noteHandle(lease, 'half', [])
  await replayOwn(issued(lease))
  expect(await at.ledger.findLease(lease)).toMatchObject({ sealedHandle: 'whole', fingerprints: ['f'] })
})

test('a handle that the ledger took with the credential stays as it is', async () => {
  const lease = await activeLease(at.ledger, task)
  await replayOwn(issued(lease))
  expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'active', sealedHandle: 'sealed' })
})

test.each(['an order', 'no order'])(
  'one whose revocation had failed, after %s, is no live one again',
  async (after) => {
    const lease = await activeLease(at.ledger, task)
    const failed = { state: 'failed', end_reason: 'released', actor: 'ci:x', attempts: 16 }
    await replayOwn([
      ...issued(lease),
      ...(after === 'an order' ? [said('lease.ending', lease, { reason: 'released', actor: 'ci:x' })] : []),
      said('lease.revocation_failed', lease, failed),
    ])
    const found = await at.ledger.findLease(lease)
    expect(found).toMatchObject({ state: 'revoking', endReason: 'released', endActor: 'ci:x' })
  },
)
