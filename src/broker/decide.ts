// One decision: policies over the verified caller, the declared action, the resource, and what task, session and account hold.
import { createId } from '../core/ids.js'
import type { Principal } from '../identity/principal.js'
import type { CeilingPair } from '../ledger/delegation.js'
import type { Task } from '../ledger/task.js'
import type { HolderLook, Reservation } from '../ledger/way-out.js'
import type { Decision, DecisionInput, Verdict } from '../policy/decision.js'
import type { PolicyEngine } from '../policy/engine.js'
import { type Escalation, escalationOf, ownHolders } from './holders.js'
import { type Hop, isOutside, joinHops, recordedPrincipal } from './hops.js'
import { judgeHop } from './judge-hop.js'
import type { Caller, Parts } from './parts.js'
import type { ResolvedRequest } from './resolved-request.js'

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

/** What a decision is and what it rests on: all that is needed to make it again (I10). */
export interface Judged {
  readonly verdict: Verdict
  /** The full typed input. */
  readonly input: DecisionInput
  /** Whatever else the caller's own decision rested on. */
  readonly own: Hop
  /** What was decided of each ancestor, from the parent up. */
  readonly above: readonly Hop[]
  /** The ancestor that was denied; null where the caller itself was, or nobody. */
  readonly deniedBy: Hop | null
  /** The ceilings of the chain: each of them bounds it. */
  readonly ceilings: readonly (readonly CeilingPair[])[]
}

export interface Decided extends Judged {
  readonly decision: Decision
  /** Within which counts of leases it would be decided the same; the reservation checks them. */
  readonly counts: Reservation['counts']
  /** The lifetime that the session remembers; a later request for more is an escalation. */
  readonly rememberedTtlSeconds: number
  /** Whether this goes beyond what the caller's session had before, and beyond which lease. */
  readonly escalation: Escalation | null
}

/** A hop of a request, and whether it goes beyond what this hop's own session had before. */
type AskingHop = Hop & { readonly escalation: Escalation | null }

/** One request, in the world and by the policies that all its hops are decided in. */
interface Asked {
  readonly policy: PolicyEngine
  readonly resolved: ResolvedRequest
  readonly world: World
}

/**
 * Decides for the caller and for every ancestor; never throws on a denial. `world` is what a later reservation must still find.
 */
export function decide(parts: Parts, caller: Caller, resolved: ResolvedRequest, world: World): Decided {
  const { policy } = parts.rules()
  const ceilings = [world.task, ...world.ancestors].flatMap(({ ceiling }) => (ceiling ? [ceiling] : []))
  const outside = isOutside(ceilings, resolved.grant.action, resolved.resource.id)
  const { own, above } = decideHops({ policy, resolved, world }, caller.principal, outside)
  const { verdict, deniedBy } = joinHops(own.verdict, above, outside)
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
    input: own.input,
    own,
    above,
    deniedBy,
    ceilings,
    // What wants approval is reserved, too, once it is given.
    counts: verdict.effect === 'deny' ? [] : [own, ...above].flatMap((hop) => countsOf(policy, hop, world)),
    rememberedTtlSeconds: rememberedTtl(verdict, resolved, world),
    escalation: own.escalation,
  }
}

/**
 * The caller's hop and those above. How long a credential would live is known only once all policies have narrowed it: whether
 * that is an escalation is asked of what they would give, not of what was asked for, and then it is decided as one. Otherwise
 * whoever once asks for an hour and is given a minute could have an hour of anything later on, unseen.
 */
function decideHops(asked: Asked, caller: Principal, outside: boolean): { own: AskingHop; above: AskingHop[] } {
  const { resolved, world } = asked
  const ownFirst = decideHop(asked, caller, null, 0)
  const aboveFirst = world.ancestors.map((task) => decideHop(asked, recordedPrincipal(task), task.id, 0))
  const { verdict } = joinHops(ownFirst.verdict, aboveFirst, outside)
  const lifetime = 'ttlSeconds' in verdict ? verdict.ttlSeconds : boundTtl(resolved, world)
  const withLifetime = (hop: AskingHop) => {
    const { principal } = hop.input
    const isMore = hop.escalation === null && escalationOfHop(principal, resolved, world, lifetime) !== null
    return isMore ? decideHop(asked, principal, hop.task, lifetime) : hop
  }
  return { own: withLifetime(ownFirst), above: aboveFirst.map(withLifetime) }
}

/**
 * One hop of the request. `task`: the ancestor's, null for the caller's own. `lifetimeSeconds`: what all hops would give; 0 while
 * that is not known.
 */
function decideHop(
  { policy, resolved, world }: Asked,
  principal: Principal,
  task: string | null,
  lifetimeSeconds: number,
): AskingHop {
  const escalation = escalationOfHop(principal, resolved, world, lifetimeSeconds)
  const hop = judgeHop(policy, resolved, world, {
    principal,
    task,
    holders: ownHolders(world.holders, principal),
    isEscalation: escalation !== null,
    most: { ttlSeconds: boundTtl(resolved, world), minTtlSeconds: resolved.guarantees.minTtlSeconds },
  })
  return { ...hop, escalation }
}

const leftSeconds = ({ now, task }: World) => Math.floor((task.expiresAt - now) / 1000)
const boundTtl = ({ ttlSeconds }: ResolvedRequest, world: World) => Math.min(ttlSeconds, leftSeconds(world))

function escalationOfHop(principal: Principal, { grant, resource }: ResolvedRequest, world: World, ttlSeconds: number) {
  return escalationOf(ownHolders(world.holders, principal), { access: grant.access, resource, ttlSeconds })
}

/** Of the hop's own session and account; the task is the same for all. */
function countsOf(policy: PolicyEngine, { input }: Hop, world: World): NonNullable<Reservation['counts']> {
  const own = ownHolders(world.holders, input.principal)
  return policy.countRanges(input).flatMap(({ of, min, max }) => {
    const name = of === 'task' ? of : own.find((holder) => holder.kind === of)?.id
    return name === undefined ? [] : [{ of: name, min, max }]
  })
}

/**
 * What only the task's end cut short is remembered by the whole minute: by the second, each request of a task near its end
 * would be something new that was granted, and a reason to decide everybody else's again.
 */
function rememberedTtl(verdict: Verdict, resolved: ResolvedRequest, world: World): number {
  const seconds = 'ttlSeconds' in verdict ? verdict.ttlSeconds : boundTtl(resolved, world)
  return seconds < leftSeconds(world) ? seconds : Math.min(resolved.ttlSeconds, Math.ceil(seconds / 60) * 60)
}
