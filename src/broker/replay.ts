// Writes what audit records tell into a ledger that may lack it: after a rollback by each instance of its own records, or by
// `hallpass recover` of all. May be repeated, and may find everything there already.
import type { EndReason } from '../ledger/lease.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Restoration } from '../ledger/restoration.js'
import type { Gathered, GatheredLease } from './gathered.js'

export interface ReplayParts {
  readonly ledger: Pick<Ledger, 'endLeases' | 'endTask' | 'now'>
  readonly restoration: Restoration
}

export interface Replayed {
  tasks: number
  leases: number
  /** Leases whose end is ordered again. */
  ended: number
  granted: number
  locks: number
}

const dayMs = 86_400_000

/**
 * `memoryMs`: how long what was granted is remembered. `complete`: these are all records there are, so that a lease without an
 * end among them is restored however old it is. Throws `ledger_unavailable`; what was done by then stays, and doing it again
 * is harmless.
 */
export async function replay(
  parts: ReplayParts,
  gathered: Gathered,
  { memoryMs, complete }: { memoryMs: number; complete: boolean },
): Promise<Replayed> {
  const now = await parts.ledger.now()
  const done: Replayed = { tasks: 0, leases: 0, ended: 0, granted: 0, locks: 0 }
  for (const target of gathered.locks()) {
    await parts.restoration.restoreLock(target)
    done.locks++
  }
  for (const task of gathered.tasks()) {
    // An ended one is still asked about for a day; an older one has nobody who asks.
    if (task.expiresAt + dayMs > now && (await parts.restoration.restoreTask(task))) done.tasks++
  }
  for (const lease of gathered.leases()) {
    if (lease.endedAs === null) await restore(parts, lease, now, complete, done)
    else await remember(parts, lease, now, memoryMs, done)
  }
  for (const { lease, ending, ended } of gathered.foreignEnds()) {
    if (ended) await endAgain(parts, lease, ending, done)
    else if (ending) await parts.ledger.endLeases([lease], ending)
  }
  for (const [task, outcome] of gathered.taskEnds) await parts.ledger.endTask(task, outcome)
  return done
}

async function restore(parts: ReplayParts, lease: GatheredLease, now: number, complete: boolean, done: Replayed) {
  const { lost, ending } = lease
  // The ledger itself forgets a lease a day after its end. In one instance's records the end may be another's to tell.
  if (!complete && lost.expiresAt + dayMs < now) return
  if ((await parts.restoration.restoreLease(lost)) === 'restored') done.leases++
  if (ending) done.ended += (await parts.ledger.endLeases([lost.id], ending)).length
}

async function remember(parts: ReplayParts, lease: GatheredLease, now: number, memoryMs: number, done: Replayed) {
  const { lost, endedAs, ending } = lease
  await endAgain(parts, lost.id, ending, done)
  const left = lost.reservedAt + memoryMs - now
  if (endedAs === 'void' || left <= 0) return
  await parts.restoration.restoreGranted(lost, left + dayMs)
  done.granted++
}

/** Where the ledger went back to when it was alive its end is carried through again, which finds it dead. */
async function endAgain(parts: ReplayParts, lease: string, ending: GatheredLease['ending'], done: Replayed) {
  if ((await parts.restoration.restoreEnd(lease)) === 'over') return
  const order = ending ?? { reason: 'revoked' as EndReason, actor: 'replay' }
  done.ended += (await parts.ledger.endLeases([lease], order)).length
}
