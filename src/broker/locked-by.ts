// What is said of a lock: to the audit, and to whoever it stops.
import type { Json } from '../core/canonical-json.js'
import { toTimestamp } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { issuerOf } from '../ledger/lease.js'
import type { Lock } from '../ledger/lock.js'
import type { Task } from '../ledger/task.js'
import type { Caller, Parts } from './parts.js'
import type { ResolvedRequest } from './resolved-request.js'

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

/**
 * Every name under which a request is looked up among the locks before there is a lease. `chain`: its task and those above;
 * `above`: who opened those, since a lock on any of them stops all below (I7).
 */
export function requestTargets(
  { principal }: Caller,
  { grant, resource }: ResolvedRequest,
  chain: readonly string[],
  above: readonly Pick<Task, 'principal' | 'account'>[],
): string[] {
  return [
    ...chain.map((task) => `task=${task}`),
    ...[{ principal: principal.id, account: principal.account }, ...above].flatMap((actor) => [
      `principal=${actor.principal}`,
      `account=${actor.account}`,
      `issuer=${issuerOf(actor.principal)}`,
    ]),
    `action=${grant.action}`,
    `resource=${resource.id}`,
    `provider=${grant.provider}`,
    'all=true',
  ]
}

/** Every name under which tasks and those who opened them may be locked. */
export const chainTargets = (chain: readonly Pick<Task, 'id' | 'principal' | 'account'>[]): string[] => [
  ...chain.flatMap(({ id, principal, account }) => [
    `task=${id}`,
    `principal=${principal}`,
    `account=${account}`,
    `issuer=${issuerOf(principal)}`,
  ]),
  'all=true',
]

/** Throws `locked`: for whoever decides without reserving, which is where a lock is met otherwise. */
export async function checkUnlocked(parts: Parts, targets: readonly string[]): Promise<void> {
  if ((await parts.ledger.findLockOn(targets)) !== null) throw await lockedBy(parts, targets)
}
