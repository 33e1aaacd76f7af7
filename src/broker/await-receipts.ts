// Waiting for leases to be settled, for as long as the caller asked.
import { isEnded, type Lease } from '../ledger/lease.js'
import type { Parts } from './parts.js'

/** Whether no more can be said by waiting: ended, failed, or told to wait for its natural end. */
export const isAnswered = (lease: Lease) =>
  isEnded(lease.state) || lease.receipt?.outcome === 'expires_at' || lease.receipt?.outcome === 'failed'

/** The leases as they stand when all have an answer or the time is over. */
export async function awaitReceipts(parts: Parts, ids: readonly string[], waitMs: number): Promise<Lease[]> {
  const until = parts.clock.monotonic() + waitMs
  const waitedFor = new Set(ids)
  for (;;) {
    const left = until - parts.clock.monotonic()
    // Begun before the look: what is settled between the two would else be missed until the next poll, half a second later.
    const settled = left > 0 ? parts.ledger.waitSettled(waitedFor, left) : null
    const leases = await parts.ledger.findLeases(ids)
    if (settled === null || leases.every(isAnswered)) return leases
    await settled
  }
}
