// One decision: policies over the verified caller, the declared action, the resource, and what task, session and account hold.
import { createId } from '../core/ids.js'
import type { HolderLook } from '../ledger/ledger.js'
import type { Decision, DecisionInput, Verdict } from '../policy/decision.js'
import type { Asked } from './asked.js'
import { holdingsOf, isEscalation } from './holders.js'
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
  /** The approval that the request names, once it is given. */
  readonly approval?: DecisionInput['approval']
}

export interface Decided {
  readonly decision: Decision
  readonly verdict: Verdict
  /** The full typed input, for the audit: with it and the policy set the decision can be made again (I10). */
  readonly input: DecisionInput
}

/** Decides; never throws on a denial. `world` is what a later reservation must still find. */
export function decide(parts: Parts, caller: Caller, asked: Asked, world: World): Decided {
  const { policy } = parts.rules()
  const { grant, resource, declared, ttlSeconds } = asked
  const { principal } = caller
  const input: DecisionInput = {
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
    escalation: isEscalation(world.holders, { access: grant.access, resource, ttlSeconds }),
    binding: principal.binding,
    ...(world.approval === undefined ? {} : { approval: world.approval }),
    now: world.now,
  }
  const verdict = policy.decide(input, {
    ttlSeconds: Math.min(ttlSeconds, Math.floor((world.task.expiresAt - world.now) / 1000)),
    minTtlSeconds: asked.guarantees.minTtlSeconds,
    binding: principal.binding,
    require: grant.require,
  })
  const decision: Decision = {
    id: createId('dec', parts.clock.now()),
    effect: verdict.effect,
    policies: verdict.policies,
    policySet: policy.hash,
  }
  parts.metrics.decisions.inc({ effect: decision.effect })
  return { decision, verdict, input }
}
