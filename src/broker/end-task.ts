// Ends a task and everything below it: nothing more is issued from that moment on, and every lease is ordered to end.
import { type EndReason, isCurrent } from '../ledger/lease.js'
import type { Ending } from '../ledger/ledger.js'
import type { Task } from '../ledger/task.js'
import { endLeases } from './end-leases.js'
import { inPages } from './in-pages.js'
import type { Parts } from './parts.js'
import { recordEnding } from './records.js'
import { notFound } from './task-access.js'

const reasons: Readonly<Record<string, EndReason>> = {
  deadline: 'deadline',
  abandoned: 'abandoned',
  revoked: 'revoked',
}

/** How a task ends, and by whom. */
export interface TaskEnd {
  /** succeeded, failed, cancelled, deadline, abandoned (unless it was heard of meanwhile) or revoked; the first one stands. */
  readonly outcome: string
  readonly actor: string
  /** The request that ended it; absent: nobody's. */
  readonly requestId?: string
  /** The operators' order that this is part of. */
  readonly order?: Pick<Ending, 'revocation' | 'forced'>
}

/**
 * Closes the task and its children, and orders their leases to end; idempotent, and carried on by the sweeper should this
 * process end halfway. Returns the leases concerned. Throws `not_found`, `ledger_unavailable`; `audit_unavailable` after all is
 * ordered, since a task's end is on disk before it is answered: the sweeper writes it then.
 */
export async function endTask(parts: Parts, taskId: string, end: TaskEnd): Promise<string[]> {
  const { outcome, actor, requestId = null, order = {} } = end
  const closed = await closeTree(parts, taskId, outcome)
  const leases = (await inPages(closed, (task) => parts.ledger.leasesOfTask(task.id))).flat()
  const ending = { reason: reasons[closed[0]?.outcome ?? outcome] ?? 'completed', actor, ...order }
  const alive = (await parts.ledger.findLeases(leases)).filter(isCurrent).map((lease) => lease.id)
  const ordered = await endLeases(parts, alive, ending)
  const ours = closed.filter((task) => task.now)
  await Promise.all([
    recordEnding(parts, ordered, ending, requestId),
    inPages(ours, (task) => recordTaskEnded(parts, task, actor, requestId)),
  ])
  await inPages(ours, (task) => parts.ledger.taskLeasesEnded(task.id))
  return leases
}

interface Closed {
  readonly id: string
  readonly outcome: string
  /** Its end is ours to carry through: nobody did before, or did not get to its end. */
  readonly now: boolean
}

async function closeTree(parts: Parts, root: string, outcome: string): Promise<Closed[]> {
  const closed: Closed[] = []
  for (const pending = [root]; pending.length > 0; ) {
    const id = pending.shift() ?? root
    // Those below end with it, whether they are heard or not.
    const answer = await parts.ledger.endTask(id, outcome, outcome === 'abandoned' && id === root)
    if (answer === 'heard') return closed
    if (answer === 'not_found') {
      if (id === root) throw notFound('task')
      continue
    }
    closed.push({ id, outcome: answer.outcome, now: answer.ended })
    pending.push(...answer.children)
  }
  return closed
}

async function recordTaskEnded(
  parts: Parts,
  { id, outcome }: Closed,
  actor: string,
  requestId: string | null,
): Promise<void> {
  const task: Task | null = await parts.ledger.findTask(id)
  await parts.audit.append({
    event: 'task.ended',
    task: id,
    ...(task ? { principal: task.principal, account: task.account } : {}),
    outcome,
    actor,
    ...(requestId === null ? {} : { request_id: requestId }),
  })
}
