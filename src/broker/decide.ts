// One decision: policies over the verified caller, the declared action, the resource, and what task, session and account hold.
import { createId } from '../core/ids.js'
import type { Principal } from '../identity/principal.js'
import type { CeilingPair } from '../ledger/delegation.js'
import type { HolderLook } from '../ledger/ledger.js'
import type { Task } from '../ledger/task.js'
import type { Decision, DecisionInput, Verdict } from '../policy/decision.js'
import type { Asked } from './asked.js'
import { holdingsOf, isEscalation, ownHolders } from './holders.js'
import { type Hop, isOutside, joinHops, recordedPrincipal } from './hops.js'
import type { Caller, Parts } from './parts.js'

/** The state of the world as the ledger's one look gave it. */
export interface World {
  readonly now: number
  readonly task: {
    readonly openedAt: number
    readonly expiresAt: number
    readonly depth: number
    readonly activeLeases: number
    readonly ceiling?: readonly CeilingPair[]
  }
  readonly holders: readonly HolderLook[]
  /** The approval that the request names, once it is given. */
  readonly approval?: DecisionInput['approval']
  /** From the parent up to the root: each is judged at every request, as its own principal (I7). */
  readonly ancestors: readonly Task[]
}

export interface Decided {
  readonly decision: Decision
  readonly verdict: Verdict
  /** The full typed input, for the audit: with it and the policy set the decision can be made again (I10). */
  readonly input: DecisionInput
  /** What was decided of each ancestor, from the parent up. */
  readonly above: readonly Hop[]
  /** The ancestor whose denial it is; null where it is the caller's own, or none. */
  readonly deniedBy: Hop | null
}

/**
 * Decides for the caller and for every ancestor; never throws on a denial. `world` is what a later reservation must still find.
 */
export function decide(parts: Parts, caller: Caller, asked: Asked, world: World): Decided {
  const own = decideHop(parts, caller.principal, null, asked, world)
  const above = world.ancestors.map((task) => decideHop(parts, recordedPrincipal(task), task.id, asked, world))
  const ceilings = [world.task, ...world.ancestors].flatMap(({ ceiling }) => (ceiling ? [ceiling] : []))
  const { verdict, deniedBy } = joinHops(own.verdict, above, isOutside(ceilings, asked.grant.action, asked.resource.id))
  const decision: Decision = {
    id: createId('dec', parts.clock.now()),
    effect: verdict.effect,
    policies: verdict.policies,
    policySet: parts.rules().policy.hash,
  }
  parts.metrics.decisions.inc({ effect: decision.effect })
  return { decision, verdict, input: own.input, above, deniedBy }
}

/** One hop: its own principal, and what its own session and account hold, over the same request in the same task. */
function decideHop(parts: Parts, principal: Principal, task: string | null, asked: Asked, world: World): Hop {
  const { grant, resource, declared, ttlSeconds } = asked
  const holders = ownHolders(world.holders, principal)
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
    session: holdingsOf(holders, 'session'),
    account: holdingsOf(holders, 'account'),
    recentDenials: Math.max(0, ...holders.map((look) => look.recentDenials)),
    escalation: isEscalation(holders, { access: grant.access, resource, ttlSeconds }),
    binding: principal.binding,
    ...(world.approval === undefined ? {} : { approval: world.approval }),
    now: world.now,
  }
  const verdict = parts.rules().policy.decide(input, {
    ttlSeconds: Math.min(ttlSeconds, Math.floor((world.task.expiresAt - world.now) / 1000)),
    minTtlSeconds: asked.guarantees.minTtlSeconds,
    binding: principal.binding,
    require: grant.require,
  })
  return { task, input, verdict }
}
