// A lock ends: removed by an operator, or its time is up. Another one on the same target stands.
import type { Lock } from '../ledger/lock.js'
import { lockRecord } from './locked-by.js'
import type { Caller, Parts } from './parts.js'
import { notFound } from './task-access.js'

/** Unlocking lets credentials out again: on disk before it is done. Throws `audit_unavailable`, `not_found`. */
export async function removeLock(parts: Parts, caller: Caller, lock: Lock): Promise<Lock> {
  await parts.audit.append({
    event: 'lock.removed',
    actor: caller.principal.id,
    request_id: caller.requestId,
    ...lockRecord(lock),
  })
  const removed = await parts.ledger.removeLock(lock.id)
  if (removed === null) throw notFound('lock')
  return removed
}

/** Its end stands in its record, so that one that cannot be written now loses nothing. */
export async function expireLocks(parts: Parts): Promise<void> {
  for (const id of await parts.ledger.takeDueLocks(100)) {
    const lock = await parts.ledger.removeLock(id)
    if (lock === null) continue
    await parts.audit
      .append({ event: 'lock.removed', actor: 'sweeper', ...lockRecord(lock), expired: true })
      .catch((error: unknown) => parts.log.warn({ err: error, lock: id }, 'the end of a lock could not be recorded'))
  }
}
