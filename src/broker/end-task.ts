// Ends a task and everything below it: nothing more is issued from that moment on, and every lease is ordered to end.
import type { EndReason, Lease } from '../ledger/lease.js'
import type { Task } from '../ledger/task.js'
import { endLeases } from './end-leases.js'
import type { Parts } from './parts.js'
import { recordEnding } from './records.js'
import { notFound } from './task-access.js'

const reasons: Readonly<Record<string, EndReason>> = {
  deadline: 'deadline',
  abandoned: 'abandoned',
  revoked: 'revoked',
}

/**
 * Closes the task and its children, and orders their leases to end; idempotent, and carried on by the sweeper should this
 * process end halfway. `outcome`: succeeded, failed, cancelled, deadline, abandoned or revoked. Returns the leases concerned.
 * Throws `not_found`, `ledger_unavailable`; `audit_unavailable` after all is ordered, since a task's end is on disk before it is answered.
 */
export async function endTask(
  parts: Parts,
  taskId: string,
  outcome: string,
  actor: string,
  requestId: string | null,
): Promise<string[]> {
  const closed = await closeTree(parts, taskId, outcome)
  const leases = (await Promise.all(closed.map((task) => parts.ledger.leasesOfTask(task.id)))).flat()
  const ending = { reason: reasons[outcome] ?? 'completed', actor }
  const ordered = (await parts.ledger.findLeases(leases)).filter(isToEnd)
  await endLeases(
    parts,
    ordered.map((lease) => lease.id),
    ending,
  )
  await Promise.all(closed.map((task) => parts.ledger.taskLeasesEnded(task.id)))
  await Promise.all([
    recordEnding(parts, ordered, ending, requestId),
    ...closed.filter((task) => task.now).map((task) => recordTaskEnded(parts, task.id, outcome, actor, requestId)),
  ])
  return leases
}

const isToEnd = (lease: Lease) => lease.state === 'reserved' || lease.state === 'active'

async function closeTree(parts: Parts, root: string, outcome: string): Promise<{ id: string; now: boolean }[]> {
  const closed: { id: string; now: boolean }[] = []
  for (const pending = [root]; pending.length > 0; ) {
    const id = pending.shift() ?? root
    const answer = await parts.ledger.endTask(id, outcome)
    if (answer === 'not_found') {
      if (id === root) throw notFound('task')
      continue
    }
    closed.push({ id, now: answer.ended })
    pending.push(...answer.children)
  }
  return closed
}

async function recordTaskEnded(
  parts: Parts,
  id: string,
  outcome: string,
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
