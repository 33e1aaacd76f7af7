// What is said of a lock: to the audit, and to whoever it stops.
import type { Json } from '../core/canonical-json.js'
import { toTimestamp } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import type { Lock } from '../ledger/lock.js'
import type { Parts } from './parts.js'

/** All that is needed to set it again (recovery). */
export const lockRecord = (lock: Lock) => ({
  lock: lock.id,
  target: lock.target as unknown as Json,
  reason: lock.reason,
  created_at: toTimestamp(lock.createdAt),
  expires_at: lock.expiresAt === null ? null : toTimestamp(lock.expiresAt),
})

/** The 403 of whoever is stopped by one of these names, with the operator's own words. */
export async function lockedBy(parts: Parts, names: readonly string[]): Promise<BrokerError> {
  const lock = await parts.ledger.findLockOn(names)
  if (lock === null) return new BrokerError('locked', 'an operator had locked this until just now; ask again')
  const [[kind, value] = ['', '']] = Object.entries(lock.target)
  const what = kind === 'all' ? 'everything' : `${kind} ${value}`
  const until = lock.expiresAt === null ? '' : ` until ${toTimestamp(lock.expiresAt)}`
  return new BrokerError('locked', `an operator has locked ${what}${until}: ${lock.reason}`, {
    members: { lock: { id: lock.id, reason: lock.reason, expires_at: lockRecord(lock).expires_at } },
  })
}

/** Throws `locked`: for whoever decides without reserving, which is where a lock is met otherwise. */
export async function checkUnlocked(parts: Parts, targets: readonly string[]): Promise<void> {
  if ((await parts.ledger.findLockOn(targets)) !== null) throw await lockedBy(parts, targets)
}
