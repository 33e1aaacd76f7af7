// The order to end leases: first in the ledger, which alone counts, then as jobs, so that a worker starts at once.
import type { Ending } from '../ledger/ledger.js'
import { bulk, interactive } from '../queue/revocation-queue.js'
import type { Parts } from './parts.js'

/**
 * Throws `ledger_unavailable`. When no job can be added the sweeper finds the leases by themselves. `rank`: of a bulk order,
 * 0 goes first.
 */
export async function endLeases(parts: Parts, leases: readonly string[], ending: Ending, rank = 0): Promise<void> {
  if (leases.length === 0) return
  const due = await parts.ledger.endLeases(leases, ending)
  if (due.length === 0) return
  try {
    // Nothing of a large order is here: workers take that by and by.
    const isWaitedFor = ending.revocation === undefined && ending.reason !== 'policy_changed'
    await parts.queue.add(due, isWaitedFor ? interactive : bulk + rank)
  } catch (error) {
    parts.log.warn({ err: error, leases: due.length }, 'no job could be added; the sweeper will find what is due')
  }
}
