// Locks and orders over many leases, as their audit records tell them.
import type { Target } from '../api/revocations.js'
import type { StoredRecord } from '../audit/read-records.js'
import { clockToleranceMs } from '../core/clock.js'
import type { LeaseMatch } from '../ledger/ledger.js'
import type { Lock, LockTarget } from '../ledger/lock.js'
import { matchOf } from './lease-match.js'

export interface ProjectedOrder {
  readonly id: string
  readonly match: LeaseMatch
  readonly reason: string
  readonly actor: string
  readonly keepsTask: boolean
  /** Epoch milliseconds. */
  readonly at: number
}

/** `lock.set` → the lock. */
export function lockOf(record: StoredRecord): Lock {
  const { expires_at } = record
  return {
    id: String(record.lock),
    target: record.target as unknown as LockTarget,
    reason: String(record.reason),
    actor: String(record.actor),
    createdAt: Date.parse(String(record.created_at ?? record.time)),
    expiresAt: typeof expires_at === 'string' ? Date.parse(expires_at) : null,
  }
}

/**
 * `revocation.ordered`, or the order in `lock.set` → the order. It reaches what was issued before it was given: carried out once
 * more, days later, it ends nothing that it was not meant for.
 */
export function orderOf(record: StoredRecord): ProjectedOrder {
  const at = Date.parse(record.time)
  const match = matchOf(record.target as unknown as Target)
  const before = Math.min(match.issuedBefore ?? Number.POSITIVE_INFINITY, at + clockToleranceMs)
  return {
    id: String(record.revocation),
    match: { ...match, issuedBefore: before },
    reason: String(record.reason),
    actor: String(record.actor),
    keepsTask: record.event === 'lock.set',
    at,
  }
}
