// An operator locks a target: from the answer on nothing is issued for it, and what it has is revoked.
import { BrokerError, invalidField } from '../core/errors.js'
import { createId } from '../core/ids.js'
import type { Lock, LockTarget } from '../ledger/lock.js'
import { carryOutOrLeave } from './force-revoke.js'
import { matchOf } from './lease-match.js'
import { lockRecord } from './locked-by.js'
import type { Caller, Parts } from './parts.js'

export interface LockOrder {
  readonly target: LockTarget
  readonly reason: string
  /** Epoch milliseconds, or how long from now; without either until it is removed. */
  readonly expiresAt?: number
  readonly lastsSeconds?: number
}

/**
 * Sets the lock and begins to revoke; `carriedOut` resolves when every lease of the target was told to end.
 * Throws `audit_unavailable` when it is not on disk: it holds all the same (I4), and the operator knows that it is not on record.
 */
export async function setLock(
  parts: Parts,
  caller: Caller,
  order: LockOrder,
): Promise<{ lock: Lock; carriedOut: Promise<void> }> {
  const { lock, revocation } = await writeLock(parts, caller, order, { keepsTask: true })
  return { lock, carriedOut: carryOutOrLeave(parts, revocation) }
}

/**
 * The lock and the order that revokes its target's leases, in the ledger in one step and on disk. The order is due at once:
 * whoever gets to it first carries it out.
 */
export async function writeLock(
  parts: Parts,
  caller: Caller,
  { target, reason, expiresAt, lastsSeconds }: LockOrder,
  { keepsTask }: { keepsTask: boolean },
): Promise<{ lock: Lock; revocation: string }> {
  const now = parts.clock.now()
  const revocation = createId('rev', now)
  const actor = caller.principal.id
  const answer = await parts.ledger.setLock({
    id: createId('lock', now),
    target,
    reason,
    actor,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(lastsSeconds === undefined ? {} : { lastsMs: lastsSeconds * 1000 }),
    order: { id: revocation, match: matchOf(target), reason, actor, ...(keepsTask ? { keepsTask } : {}) },
  })
  if (answer.outcome !== 'ok') throw notSet(answer.outcome)
  const { lock } = answer
  await parts.audit.append({
    event: 'lock.set',
    actor,
    request_id: caller.requestId,
    ...lockRecord(lock),
    revocation,
  })
  return { lock, revocation }
}

const notSet = (outcome: 'past' | 'full') =>
  outcome === 'past'
    ? invalidField('expires_at', 'is over already; expected a time to come')
    : new BrokerError('quota', 'there are 10,000 locks; lock more with one, such as an issuer or all')
