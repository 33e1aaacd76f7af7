// One decision: policies over the verified caller, the declared action, the resource, and what task, session and account hold.
import { createId } from '../core/ids.js'
import type { HolderLook } from '../ledger/ledger.js'
import type { CountRange } from '../policy/count-cuts.js'
import type { Decision, DecisionInput, OfferBounds, Verdict } from '../policy/decision.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { Asked } from './asked.js'
import { type Escalation, escalationOf } from './escalation.js'
import { holdingsOf } from './holders.js'
import type { Caller, Parts } from './parts.js'

/** The state of the world as the ledger's one look gave it. */
export interface World {
  readonly now: number
  readonly task: {
    readonly openedAt: number
    readonly expiresAt: number
    readonly depth: number
    readonly activeLeases: number
  }
  readonly holders: readonly HolderLook[]
}

export interface Decided {
  readonly decision: Decision
  readonly verdict: Verdict
  /** The full typed input, for the audit: with it and the policy set the decision can be made again (I10). */
  readonly input: DecisionInput
  /** How many leases there may be for it to be decided alike; a reservation asks. */
  readonly counts: readonly CountRange[]
  /** As what the session remembers the lifetime; a later one that is longer is an escalation. */
  readonly rememberedTtlSeconds: number
  /** Whether this goes beyond what the session had before, and beyond which lease. */
  readonly escalation: Escalation | null
}

/** Decides; never throws on a denial. `world` is what a later reservation must still find. */
export function decide(parts: Parts, caller: Caller, asked: Asked, world: World): Decided {
  const { policy } = parts.rules()
  const { grant, resource, declared, ttlSeconds } = asked
  const { principal } = caller
  const base: DecisionInput = {
    principal,
    action: grant.action,
    resource,
    requestedTtlSeconds: ttlSeconds,
    declared,
    task: {
      ageSeconds: Math.max(0, Math.floor((world.now - world.task.openedAt) / 1000)),
      depth: world.task.depth,
      activeLeases: world.task.activeLeases,
    },
    session: holdingsOf(world.holders, 'session'),
    account: holdingsOf(world.holders, 'account'),
    recentDenials: Math.max(0, ...world.holders.map((look) => look.recentDenials)),
    escalation: false,
    binding: principal.binding,
    now: world.now,
  }
  const leftSeconds = Math.floor((world.task.expiresAt - world.now) / 1000)
  const bounds: OfferBounds = {
    ttlSeconds: Math.min(ttlSeconds, leftSeconds),
    minTtlSeconds: asked.guarantees.minTtlSeconds,
    binding: principal.binding,
    require: grant.require,
  }
  const { input, verdict, escalation } = decideStepwise(policy, base, bounds, (lifetime) =>
    escalationOf(world.holders, { access: grant.access, resource, ttlSeconds: lifetime }),
  )
  const decision: Decision = {
    id: createId('dec', parts.clock.now()),
    effect: verdict.effect,
    policies: verdict.policies,
    policySet: policy.hash,
  }
  parts.metrics.decisions.inc({ effect: decision.effect })
  return {
    decision,
    verdict,
    input,
    counts: verdict.effect === 'permit' ? policy.countRanges(input) : [],
    rememberedTtlSeconds: rememberedTtl(lifetimeOf(verdict, bounds), leftSeconds, ttlSeconds),
    escalation,
  }
}

/**
 * How long a credential would live is known only once the policies have narrowed it: whether that is an escalation is asked
 * of what they would give, not of what was asked for, and then it is decided as one. Otherwise whoever once asks for an hour
 * and is given a minute could have an hour of anything later on, unseen.
 */
function decideStepwise(
  policy: PolicyEngine,
  base: DecisionInput,
  bounds: OfferBounds,
  beyond: (lifetimeSeconds: number) => Escalation | null,
): { input: DecisionInput; verdict: Verdict; escalation: Escalation | null } {
  const asEscalation = (escalation: Escalation) => {
    const input = { ...base, escalation: true }
    return { input, verdict: policy.decide(input, bounds), escalation }
  }
  const byClass = beyond(0)
  if (byClass !== null) return asEscalation(byClass)
  const verdict = policy.decide(base, bounds)
  const byLifetime = beyond(lifetimeOf(verdict, bounds))
  return byLifetime === null ? { input: base, verdict, escalation: null } : asEscalation(byLifetime)
}

/** Of a denial: what was asked for. */
const lifetimeOf = (verdict: Verdict, bounds: OfferBounds) =>
  'ttlSeconds' in verdict ? verdict.ttlSeconds : bounds.ttlSeconds

/**
 * What only the task's end cut short is remembered by the whole minute: by the second, each request of a task near its end
 * would be something new that was granted, and a reason to decide everybody else's again.
 */
function rememberedTtl(seconds: number, leftSeconds: number, askedSeconds: number): number {
  return seconds < leftSeconds ? seconds : Math.min(askedSeconds, Math.ceil(seconds / 60) * 60)
}
