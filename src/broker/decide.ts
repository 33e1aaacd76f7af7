// One decision: policies over the verified caller, the declared action, the resource, and what task, session and account hold.
import { createId } from '../core/ids.js'
import type { Principal } from '../identity/principal.js'
import type { CeilingPair } from '../ledger/delegation.js'
import type { Task } from '../ledger/task.js'
import type { HolderLook, Reservation } from '../ledger/way-out.js'
import type { Decision, DecisionInput, Verdict } from '../policy/decision.js'
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
  /** The ancestor whose denial it is; null where it is the caller's own, or none. */
  readonly deniedBy: Hop | null
  /** The ceilings of the chain: each of them bounds it. */
  readonly ceilings: readonly (readonly CeilingPair[])[]
}

export interface Decided extends Judged {
  readonly decision: Decision
  /** How many leases there may be for it to be decided alike; a reservation asks. */
  readonly counts: Reservation['counts']
  /** As what the session remembers the lifetime; a later one that is longer is an escalation. */
  readonly rememberedTtlSeconds: number
  /** Whether this goes beyond what the caller's session had before, and beyond which lease. */
  readonly escalation: Escalation | null
}

/** A hop of a request, and whether it goes beyond what this hop's own session had before. */
type AskingHop = Hop & { readonly escalation: Escalation | null }

/**
 * Decides for the caller and for every ancestor; never throws on a denial. `world` is what a later reservation must still find.
 */
export function decide(parts: Parts, caller: Caller, resolved: ResolvedRequest, world: World): Decided {
  const ceilings = [world.task, ...world.ancestors].flatMap(({ ceiling }) => (ceiling ? [ceiling] : []))
  const outside = isOutside(ceilings, resolved.grant.action, resolved.resource.id)
  const hopOf = (principal: Principal, task: string | null) => decideHop(parts, principal, task, resolved, world, 0)
  const ownFirst = hopOf(caller.principal, null)
  const aboveFirst = world.ancestors.map((task) => hopOf(recordedPrincipal(task), task.id))
  // How long a credential would live is known only once all policies have narrowed it: whether that is an escalation is asked
  // of what they would give, not of what was asked for, and then it is decided as one. Otherwise whoever once asks for an
  // hour and is given a minute could have an hour of anything later on, unseen.
  const first = joinHops(ownFirst.verdict, aboveFirst, outside)
  const lifetime = 'ttlSeconds' in first.verdict ? first.verdict.ttlSeconds : boundTtl(resolved, world)
  const withLifetime = (hop: AskingHop) =>
    hop.escalation === null && escalationOfHop(hop.input.principal, resolved, world, lifetime) !== null
      ? decideHop(parts, hop.input.principal, hop.task, resolved, world, lifetime)
      : hop
  const own = withLifetime(ownFirst)
  const above = aboveFirst.map(withLifetime)
  const { verdict, deniedBy } = joinHops(own.verdict, above, outside)
  const decision: Decision = {
    id: createId('dec', parts.clock.now()),
    effect: verdict.effect,
    policies: verdict.policies,
    policySet: parts.rules().policy.hash,
  }
  parts.metrics.decisions.inc({ effect: decision.effect })
  // What wants approval is reserved, too, once it is given.
  const counts = verdict.effect === 'deny' ? [] : [own, ...above].flatMap((hop) => countsOf(parts, hop, world))
  const rememberedTtlSeconds = rememberedTtl(verdict, resolved, world)
  return {
    decision,
    verdict,
    input: own.input,
    own,
    above,
    deniedBy,
    ceilings,
    counts,
    rememberedTtlSeconds,
    escalation: own.escalation,
  }
}

/**
 * One hop of the request, and whether it goes beyond what this hop's own session had before.
 * `lifetimeSeconds`: what all hops would give; 0 while that is not known.
 */
function decideHop(
  parts: Parts,
  principal: Principal,
  task: string | null,
  resolved: ResolvedRequest,
  world: World,
  lifetimeSeconds: number,
): AskingHop {
  const escalation = escalationOfHop(principal, resolved, world, lifetimeSeconds)
  const hop = judgeHop(parts.rules().policy, resolved, world, {
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
function countsOf(parts: Parts, { input }: Hop, world: World): NonNullable<Reservation['counts']> {
  const own = ownHolders(world.holders, input.principal)
  return parts
    .rules()
    .policy.countRanges(input)
    .flatMap(({ of, min, max }) => {
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
