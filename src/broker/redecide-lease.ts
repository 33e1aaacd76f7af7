// One live lease, decided again: the request as it was made (what was declared, for how long, the binding, whether it was an
// escalation, the verified attributes) in the world as it is now (policies, groups, resources, what else is held).
import { BrokerError } from '../core/errors.js'
import { checkContext, type Declared } from '../grants/catalogue.js'
import type { Grant } from '../grants/grant.js'
import type { Principal } from '../identity/principal.js'
import type { RequirementDigests } from '../identity/requirements.js'
import { issuerOf, type Lease } from '../ledger/lease.js'
import type { Task } from '../ledger/task.js'
import type { DenyReason, Resource, Verdict } from '../policy/decision.js'
import { approvalStands } from './approval-stands.js'
import type { Judged } from './decide.js'
import { isEscalation, ownHolders } from './holders.js'
import { type Hop, isOutside, joinHops, recordedPrincipal } from './hops.js'
import { judgeHop } from './judge-hop.js'
import { type CountedLook, lookWithoutLease } from './look-without-lease.js'
import type { Parts, Rules } from './parts.js'

export type NoLonger =
  | DenyReason
  | 'binding_required'
  | 'approval_required'
  | 'unknown_action'
  | 'unknown_resource'
  | 'invalid_context'
  | 'issuer_removed'
  | 'issuer_require'

/** Why a lease is no longer permitted. */
export interface Objection {
  readonly reason: NoLonger
  /** The policies that decided; empty where it is not for a policy. */
  readonly policies: readonly string[]
  /** Whose place in the chain it was refused at: the lease's own principal, or an ancestor's. */
  readonly principal: string
  /** All that it rests on; null where no policy was asked. */
  readonly decided: Judged | null
}

/** What a lease is judged in. */
export interface LeaseContext {
  readonly now: number
  /** Its own task first, up to the root. */
  readonly chain: readonly Task[]
  readonly looks: readonly CountedLook[]
  /** What issuers required when leases were judged last; null: not known. */
  readonly requiredBefore: RequirementDigests | null
}

/** Null: it stands. Pure, but for the policies' own evaluation. */
export function findObjection(
  parts: Pick<Parts, 'providers'>,
  rules: Rules,
  lease: Lease,
  context: LeaseContext,
): Objection | null {
  const { record } = lease
  const say = (reason: NoLonger, principal = record.principal): Objection => ({
    reason,
    principal,
    policies: [],
    decided: null,
  })
  for (const task of context.chain) {
    const { principal: id, attributes } = task
    const recorded = { issuer: issuerOf(id), subject: subjectOf(id), attributes }
    const unmet = rules.requirements.findUnmet(recorded, context.requiredBefore)
    if (unmet !== null) return say(unmet, id)
  }
  const asked = resolveRecorded(rules, lease)
  if ('reason' in asked) return say(asked.reason)
  const looks = context.looks.map((look) => lookWithoutLease(look, lease))
  const decided = decideRecorded(parts, rules, lease, asked, { ...context, looks })
  const reason = objectionIn(decided.verdict, lease, context.now)
  if (reason === null) return null
  const principal = decided.deniedBy?.input.principal.id ?? record.principal
  return { reason, policies: decided.verdict.policies, principal, decided }
}

interface Recorded {
  readonly grant: Grant
  readonly resource: Resource
  readonly declared: Declared
}

/** What was asked for, by the catalogue as it is now. */
function resolveRecorded({ catalogue }: Rules, { record }: Lease): Recorded | { reason: NoLonger } {
  try {
    const grant = catalogue.resolveGrant(record.action)
    const resource = catalogue.resolveResource(record.resource, grant)
    return { grant, resource, declared: checkContext(grant, record.declared ?? {}) }
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    if (error.code === 'unknown_action' || error.code === 'unknown_resource') return { reason: error.code }
    if (error.code === 'invalid_request') return { reason: 'invalid_context' }
    throw error
  }
}

type Place = Pick<LeaseContext, 'now' | 'chain' | 'looks'>

/** For the caller and for every ancestor, each as its own principal, under every ceiling (I7). */
function decideRecorded(
  parts: Pick<Parts, 'providers'>,
  rules: Rules,
  lease: Lease,
  asked: Recorded,
  place: Place,
): Judged {
  const [task, ...ancestors] = place.chain
  if (task === undefined) throw new Error(`${lease.id} has no task`)
  const { record } = lease
  const recorded = { ...recordedPrincipal(task), binding: record.binding ?? 'none' }
  // Only an escalation has a lease that it goes beyond.
  const own = decideHop(parts, rules, record, asked, place, recorded, null, record.follows !== undefined)
  const above = ancestors.map((one) =>
    decideHop(parts, rules, record, asked, place, recordedPrincipal(one), one.id, null),
  )
  const ceilings = place.chain.flatMap(({ ceiling }) => (ceiling ? [ceiling] : []))
  const joined = joinHops(own.verdict, above, isOutside(ceilings, record.action, record.resource))
  return { ...joined, input: own.input, own, above, ceilings }
}

/** `escalation`: as it was; null where nobody wrote it down, so that it follows from what is granted. */
function decideHop(
  parts: Pick<Parts, 'providers'>,
  rules: Rules,
  record: Lease['record'],
  recorded: Recorded,
  { now, chain, looks }: Place,
  principal: Principal,
  task: string | null,
  escalation: boolean | null,
): Hop {
  const { grant, resource } = recorded
  const [own] = chain
  const holders = ownHolders(looks, principal)
  const ttlSeconds = Math.min(record.ttl, grant.ttl.maxSeconds, rules.limits.lease.ttl)
  const place = {
    now,
    task: {
      openedAt: own?.openedAt ?? now,
      depth: own?.depth ?? 0,
      activeLeases: Math.max(0, (own?.activeLeases ?? 0) - 1),
    },
    approval: record.approval?.given,
  }
  return judgeHop(rules.policy, { ...recorded, ttlSeconds }, place, {
    principal,
    task,
    holders,
    isEscalation: escalation ?? isEscalation(holders, { access: grant.access, resource, ttlSeconds }),
    most: {
      ttlSeconds,
      minTtlSeconds: parts.providers.get(grant.provider)?.guarantees(grant.recipe).minTtlSeconds ?? 1,
    },
  })
}

function objectionIn(verdict: Verdict, { record, issuedAt }: Lease, now: number): NoLonger | null {
  if (verdict.effect === 'deny') return verdict.code === 'denied' ? verdict.reason : verdict.code
  if (verdict.effect === 'approval_required' && !approvalStands(record, verdict)) return 'approval_required'
  // What is left of a lease that may live less long now; one that is not issued yet has its whole life before it.
  return issuedAt !== null && issuedAt + verdict.ttlSeconds * 1000 < now ? 'lifetime' : null
}

const subjectOf = (principal: string) => principal.slice(issuerOf(principal).length + 1)
