// Whether it is for the change that a live lease is no longer permitted. A rule over what else is held may have been met when the
// lease was issued and not be now: that alone ends nothing. What the new rules say beside it does.
import type { Lease } from '../ledger/lease.js'
import type { CountedLook } from './look-without-lease.js'
import type { Parts, Rules } from './parts.js'
import { findObjection, type LeaseContext, type Objection } from './redecide-lease.js'

/**
 * Null: the lease stands. As `findObjection`, but never throws: one lease that cannot be judged must not stop the judging of all
 * others, and any doubt is a deny.
 */
export function judgeLease(parts: Parts, rules: Rules, lease: Lease, context: LeaseContext): Objection | null {
  try {
    return findObjection(parts, rules, lease, context)
  } catch (error) {
    parts.log.error({ err: error, lease: lease.id }, 'a live lease cannot be decided again')
    return { reason: 'policy_error', policies: [], principal: lease.record.principal, decided: null }
  }
}

/** `objection`: what `rules` have against the lease. `before`: what leases were judged by last; null: not known. */
export function isForTheChange(
  parts: Parts,
  [before, rules]: readonly [Rules | null, Rules],
  lease: Lease,
  context: LeaseContext,
  objection: Objection,
): boolean {
  const earlier = before === null ? null : judgeLease(parts, before, lease, context)
  if (before === null || earlier === null) return true
  // Refused before, too, but for something else: the new refusal is the change's.
  if (earlier.reason !== objection.reason || objection.policies.some((id) => !earlier.policies.includes(id)))
    return true
  // Refused for the same as before, which may be what else is held. Then it counts only if the lease alone was permitted before and
  // is not now.
  const alone = { ...context, chain: context.chain.map(withOneLease), looks: context.looks.map(empty) }
  return judgeLease(parts, before, lease, alone) === null && judgeLease(parts, rules, lease, alone) !== null
}

const withOneLease = <Counted extends { activeLeases: number }>(task: Counted): Counted => ({
  ...task,
  activeLeases: 1,
})

const empty = (look: CountedLook): CountedLook => ({
  ...look,
  activeLeases: 0,
  holding: [],
  holdingAccess: [],
  holdingResources: [],
  granted: [],
  grantedAccess: [],
  grantedResources: [],
  grantedSensitivities: [],
  grantedTtls: [],
  recentDenials: 0,
})
