// A lease given back before its time: it ends like any other.
import { isEnded, type Lease } from '../ledger/lease.js'
import { awaitReceipts } from './await-receipts.js'
import { endLeases } from './end-leases.js'
import type { Parts } from './parts.js'
import { recordEnding } from './records.js'

/** Orders the end and waits a bounded time for the receipt; `pending` is an answer too. `waitMs` 5 s unless told. */
export async function release(
  parts: Parts,
  lease: Lease,
  actor: string,
  requestId: string,
  waitMs = 5000,
): Promise<Lease> {
  if (!isEnded(lease.state)) {
    const ending = { reason: 'released', actor } as const
    await recordEnding(parts, await endLeases(parts, [lease.id], ending), ending, requestId)
  }
  const [settled] = await awaitReceipts(parts, [lease.id], waitMs)
  return settled ?? lease
}
