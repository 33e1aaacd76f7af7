// Whose a task is. Another principal's or instance's call on it is a 404 like an unknown id, audited, and changes nothing.
import { BrokerError } from '../core/errors.js'
import type { Task } from '../ledger/task.js'
import type { Caller, Parts } from './parts.js'

export const notFound = (what: string) => new BrokerError('not_found', `no such ${what}`)

/** Returns the task when it is the caller's. Throws `not_found` otherwise, the same for unknown and for somebody else's. */
export async function checkOwner(parts: Parts, caller: Caller, id: string, task: Task | null): Promise<Task> {
  const { principal } = caller
  if (task && task.principal === principal.id && task.instance === principal.instance) return task
  if (task) await recordForeign(parts, caller, { task: id })
  throw notFound('task')
}

/** The audit of a call on something that is another's. */
export async function recordForeign(
  parts: Parts,
  caller: Caller,
  on: { task?: string; lease?: string },
): Promise<void> {
  await parts.audit.append({
    event: caller.principal.use === 'operator' ? 'operator.refused' : 'request.refused',
    principal: caller.principal.id,
    account: caller.principal.account,
    request_id: caller.requestId,
    code: 'not_found',
    reason: 'of another principal or instance',
    ...on,
  })
}
