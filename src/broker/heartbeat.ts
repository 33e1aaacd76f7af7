// A sign of life for a task. It mints nothing, but keeps alive what was minted: so it takes who may also ask for credentials.
import { BrokerError } from '../core/errors.js'
import type { Task } from '../ledger/task.js'
import type { Parts } from './parts.js'
import { notFound } from './task-access.js'

/** When the next one is wanted, epoch milliseconds; null where none is. Throws `task_closed`, `not_found`, `ledger_unavailable`. */
export async function heartbeat(parts: Parts, task: Task): Promise<number | null> {
  const answer = await parts.ledger.beat(task.id)
  if (answer.outcome === 'ok') return answer.beforeMs
  if (answer.outcome === 'not_found') throw notFound('task')
  throw new BrokerError('task_closed', `${task.id} has ended`)
}
