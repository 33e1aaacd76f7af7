// Writes what audit records tell into a ledger that may lack it: after a rollback by each instance of its own records, or by
// `hallpass recover` of all. May be repeated, and may find everything there already.
import type { Ending, Ledger } from '../ledger/ledger.js'
import type { Restoration } from '../ledger/restoration.js'
import type { AuditProjection } from './audit-projection.js'
import type { ProjectedEnding, ProjectedLease } from './projected-lease.js'

export interface ReplayParts {
  readonly ledger: Pick<Ledger, 'endLeases' | 'endTask' | 'now' | 'removeLock' | 'retryLease' | 'abandonLease'>
  readonly restoration: Restoration
}

export interface Replayed {
  tasks: number
  /** Written again as they were: live, or failed. */
  leases: number
  /** Leases whose end is ordered again. */
  ended: number
  granted: number
  locks: number
  approvals: number
}

/** The ledger had it all. */
export const foundAll = ({ tasks, leases, ended, locks, approvals }: Replayed) =>
  tasks + leases + ended + locks + approvals === 0

interface Extent {
  /** How long what was granted is remembered. */
  readonly memoryMs: number
  /** These are all records there are, so that a lease without an end among them is restored however old it is. */
  readonly complete: boolean
}

const dayMs = 86_400_000
/** The ledger itself remembers an order that long. */
const orderKeptMs = 2 * dayMs
/** `recent_denials` are those of the last ten minutes. */
const denialsKeptMs = 600_000

/** Throws `ledger_unavailable`; what was done by then stays, and doing it again is harmless. */
export async function replay(parts: ReplayParts, projection: AuditProjection, extent: Extent): Promise<Replayed> {
  const now = await parts.ledger.now()
  const done: Replayed = { tasks: 0, leases: 0, ended: 0, granted: 0, locks: 0, approvals: 0 }
  // Locks first: whatever else is missing yet, what an operator stopped gets nothing.
  await replayLocks(parts, projection, done)
  for (const task of projection.tasks()) {
    // An ended one is still asked about for a day; an older one has nobody who asks.
    if (task.expiresAt + dayMs > now && (await parts.restoration.restoreTask(task))) done.tasks++
  }
  // Before anything may be issued again: a used approval must be known as used.
  for (const approval of projection.approvals()) {
    if (await parts.restoration.restoreApproval(approval)) done.approvals++
  }
  for (const { account, minutes } of projection.denials.byAccount(now - denialsKeptMs)) {
    await parts.restoration.restoreDenials(account, minutes)
  }
  // One that came back unused would open a second task.
  for (const delegation of projection.delegations()) {
    if (delegation.expiresAt > now) await parts.restoration.restoreDelegation(delegation)
  }
  for (const lease of projection.leases()) {
    if (lease.endedAs === null) await restore(parts, lease, now, extent, done)
    else await remember(parts, lease, now, extent, done)
  }
  for (const { lease, ending, ended } of projection.foreignEnds()) {
    if (ended) await endAgain(parts, lease, ending, done)
    else if (ending && (await parts.restoration.restoreEnd(lease, ending)) === 'live')
      done.ended += (await parts.ledger.endLeases([lease], ending)).due.length
  }
  for (const [task, outcome] of projection.taskEnds) {
    const answer = await parts.ledger.endTask(task, outcome)
    // Another instance opened it, and may come to its replay after this one.
    if (answer === 'not_found' && !projection.opened(task)) await parts.restoration.noteTaskEnded(task, outcome)
  }
  // Orders last: they are due at once, and reach what is in the ledger by then. One that was given while the ledger was lost, and
  // so was carried out over nothing, must still reach what came back.
  const cameBack = done.leases + done.ended > 0
  for (const { at, ...order } of projection.orders()) {
    if (at + orderKeptMs > now) await parts.restoration.restoreOrder(order, cameBack)
  }
  return done
}

async function replayLocks(
  { ledger, restoration }: ReplayParts,
  projection: AuditProjection,
  done: Replayed,
): Promise<void> {
  for (const id of projection.unlocked) {
    await restoration.noteUnlocked(id)
    await ledger.removeLock(id)
  }
  for (const lock of projection.locks()) if (await restoration.restoreLock(lock)) done.locks++
}

async function restore(parts: ReplayParts, lease: ProjectedLease, now: number, { complete }: Extent, done: Replayed) {
  const { lost, ending, failed, retried } = lease
  // The ledger itself forgets a lease a day after its end. In one instance's records the end may be another's to tell.
  if (!complete && lost.expiresAt + dayMs < now) return
  const answer = await parts.restoration.restoreLease(lost)
  if (typeof answer === 'object' || answer === 'restored') done.leases++
  // Whoever looks at failed ones does so when their natural end has passed, or when an operator says. A ledger that went back has
  // it as alive, and so nobody would: it is tried again, and shows as failed when it fails again.
  if (failed) {
    if (answer === 'exists')
      done.ended += (await parts.ledger.endLeases([lost.id], ending ?? lost.end ?? unsaid)).due.length
    return
  }
  if (retried && (await parts.ledger.retryLease(lost.id)).outcome === 'ok') done.ended++
  const said = ending ?? (typeof answer === 'object' ? answer : null)
  const order: Ending | null = retried ? { ...(said ?? unsaid), forced: true } : said
  if (order) done.ended += (await parts.ledger.endLeases([lost.id], order)).due.length
}

async function remember(parts: ReplayParts, lease: ProjectedLease, now: number, extent: Extent, done: Replayed) {
  const { lost, endedAs, ending } = lease
  const { end } = lost
  if (endedAs === 'abandoned' && end) await parts.ledger.abandonLease(lost.id, end.actor)
  if (!(await endAgain(parts, lost.id, ending, done))) return
  if (end && Math.max(end.at, lost.expiresAt) + dayMs > now) await parts.restoration.restoreLease(lost)
  const left = lost.reservedAt + extent.memoryMs - now
  if (endedAs === 'void' || left <= 0) return
  await parts.restoration.restoreGranted(lost, left + dayMs)
  done.granted++
}

const unsaid: ProjectedEnding = { reason: 'revoked', actor: 'replay' }

/**
 * Where the ledger went back to when it was alive its end is carried through again, which finds it dead. Returns whether the
 * ledger, too, has it as over.
 */
async function endAgain(parts: ReplayParts, lease: string, ending: ProjectedEnding | null, done: Replayed) {
  if ((await parts.restoration.restoreEnd(lease)) === 'over') return true
  done.ended += (await parts.ledger.endLeases([lease], ending ?? unsaid)).due.length
  return false
}
