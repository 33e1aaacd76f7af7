// Whose a task is. Another principal's or instance's call on it is a 404 like an unknown id, audited, and changes nothing.
import { BrokerError } from '../core/errors.js'
import type { Principal } from '../identity/principal.js'
import type { Task } from '../ledger/task.js'
import type { Caller, Parts } from './parts.js'
import { appendRefusal } from './record-refusal.js'

/** The 404 that is the same for what is unknown and for what is somebody else's. */
export const notFound = (what: string) => new BrokerError('not_found', `no such ${what}`)

const isOfSameRun = (task: Task, principal: Principal) =>
  task.principal === principal.id &&
  task.instance === principal.instance &&
  // A sub-agent stands for its parent in the one task that it was handed, and nowhere else.
  (principal.delegation === undefined || principal.delegation === task.delegation)

/**
 * Whether the principal is the one, in the run, that opened the task; of a pinned task, only with a proof of the same key: a
 * stolen token alone, or with a proof of the thief's, is somebody else's.
 */
export function isOwn(task: Task, principal: Principal): boolean {
  return isOfSameRun(task, principal) && (task.jkt === undefined || task.jkt === principal.jkt)
}

/** Returns the task when it is the caller's. Throws `not_found` otherwise, the same for unknown and for somebody else's. */
export async function checkOwner(parts: Parts, caller: Caller, id: string, task: Task | null): Promise<Task> {
  if (task && isOwn(task, caller.principal)) return task
  if (task) await recordForeign(parts, caller, task, { task: id })
  throw notFound('task')
}

/** Writes down a call on what is another's. `task`: where it belongs, if known; `on`: what it is, and why, if not for the owner. */
export async function recordForeign(
  parts: Parts,
  caller: Caller,
  task: Task | null,
  on: { task?: string; lease?: string; approval?: string; reason?: string },
): Promise<void> {
  await appendRefusal(parts, caller, {
    code: 'not_found',
    reason:
      task !== null && isOfSameRun(task, caller.principal) && task.jkt !== undefined
        ? 'pinned to another key'
        : 'of another principal or instance',
    ...on,
  })
}
