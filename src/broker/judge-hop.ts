// One hop of a chain: its own principal, and what its own session and account hold, over the same request in the same task. Both
// deciding and deciding again go through here, so that no member of the input can mean one thing there and another here.
import type { Declared } from '../grants/catalogue.js'
import type { Grant } from '../grants/grant.js'
import type { Principal } from '../identity/principal.js'
import type { HolderLook } from '../ledger/way-out.js'
import type { DecisionInput, Resource } from '../policy/decision.js'
import type { PolicyEngine } from '../policy/engine.js'
import { holdingsOf } from './holders.js'
import type { Hop } from './hops.js'

/** What is asked for, the same for every hop. */
export interface HopRequest {
  readonly grant: Grant
  readonly resource: Resource
  readonly declared: Declared
  /** Already bounded by the grant and `limits.lease.ttl`. */
  readonly ttlSeconds: number
}

/** Where it is asked, the same for every hop. */
export interface HopPlace {
  readonly now: number
  readonly task: { readonly openedAt: number; readonly depth: number; readonly activeLeases: number }
  readonly approval?: DecisionInput['approval'] | undefined
}

/** Who asks, and what the decision is held within. */
export interface HopAsker {
  readonly principal: Principal
  /** The ancestor's task; null for the caller's own. */
  readonly task: string | null
  /** Its own holders alone. */
  readonly holders: readonly HolderLook[]
  readonly isEscalation: boolean
  /** What it can be given at most, and what the provider gives at least. */
  readonly most: { readonly ttlSeconds: number; readonly minTtlSeconds: number }
}

/** Pure, but for the policies' own evaluation; never throws on a denial. */
export function judgeHop(policy: PolicyEngine, request: HopRequest, place: HopPlace, asker: HopAsker): Hop {
  const { grant, resource, declared, ttlSeconds } = request
  const { principal, task, holders, isEscalation, most } = asker
  const { now, approval } = place
  const input: DecisionInput = {
    principal,
    action: grant.action,
    resource,
    requestedTtlSeconds: ttlSeconds,
    declared,
    task: {
      ageSeconds: Math.max(0, Math.floor((now - place.task.openedAt) / 1000)),
      depth: place.task.depth,
      activeLeases: place.task.activeLeases,
    },
    session: holdingsOf(holders, 'session'),
    account: holdingsOf(holders, 'account'),
    recentDenials: Math.max(0, ...holders.map((look) => look.recentDenials)),
    escalation: isEscalation,
    binding: principal.binding,
    ...(approval === undefined ? {} : { approval }),
    now,
  }
  const bounds = { ...most, binding: principal.binding, require: grant.require }
  const standing = policy.standingOf(input)
  return { task, input, bounds, standing, verdict: policy.decideAs(standing, input, bounds) }
}
