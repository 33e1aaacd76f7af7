// Waiting for leases to be settled, for as long as the caller asked.
import { isEnded, type Lease } from '../ledger/lease.js'
import type { Parts } from './parts.js'

/** Whether no more can be said by waiting: ended, failed, or told to wait for its natural end. */
export const isAnswered = (lease: Lease) =>
  isEnded(lease.state) || lease.receipt?.outcome === 'expires_at' || lease.receipt?.outcome === 'failed'

const isOver = (lease: Lease | undefined) => lease !== undefined && isEnded(lease.state)

/** The leases as they stand when all have an answer or the time is over. */
export async function awaitReceipts(parts: Parts, ids: readonly string[], waitMs: number): Promise<Lease[]> {
  const until = parts.clock.monotonic() + waitMs
  const known = new Map<string, Lease>()
  for (;;) {
    const left = until - parts.clock.monotonic()
    // What has ended says nothing new: thousands that did would else be read twice a second for everybody who waits.
    const open = ids.filter((id) => !isOver(known.get(id)))
    // Begun before the look: otherwise what is settled between the two is missed until the next poll, half a second later.
    const settled = left > 0 ? parts.ledger.waitSettled(new Set(open), left) : null
    for (const lease of await parts.ledger.findLeases(open)) known.set(lease.id, lease)
    const leases = ids.flatMap((id) => known.get(id) ?? [])
    if (settled === null || leases.every(isAnswered)) return leases
    await settled
  }
}
