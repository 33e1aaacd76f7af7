// Waiting for leases to be settled, for as long as the caller asked.
import { isEnded, type Lease } from '../ledger/lease.js'
import type { Parts } from './parts.js'

/** Whether no more can be said by waiting: ended, failed, or told to wait for its natural end. */
export const isAnswered = (lease: Lease) =>
  isEnded(lease.state) || lease.receipt?.outcome === 'expires_at' || lease.receipt?.outcome === 'failed'

/** The leases as they stand when all have an answer or the time is over. */
export async function awaitReceipts(parts: Parts, ids: readonly string[], waitMs: number): Promise<Lease[]> {
  const until = parts.clock.monotonic() + waitMs
  for (;;) {
    const leases = await parts.ledger.findLeases(ids)
    const open = new Set(leases.filter((lease) => !isAnswered(lease)).map((lease) => lease.id))
    const left = until - parts.clock.monotonic()
    if (open.size === 0 || left <= 0) return leases
    await parts.ledger.waitSettled(open, left)
  }
}
