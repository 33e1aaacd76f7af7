// One live lease, decided again: the request as it was made (what was declared, for how long, the binding, whether it was an
// escalation, the verified attributes) in the world as it is now (policies, groups, resources, what else is held).
import { BrokerError } from '../core/errors.js'
import { checkContext } from '../grants/catalogue.js'
import type { Principal } from '../identity/principal.js'
import type { RequirementDigests } from '../identity/requirements.js'
import { issuerOf, type Lease } from '../ledger/lease.js'
import type { Task } from '../ledger/task.js'
import type { DenyReason, Verdict } from '../policy/decision.js'
import type { PolicyEngine } from '../policy/engine.js'
import { approvalStands } from './approval-stands.js'
import type { Judged } from './decide.js'
import { isEscalation, ownHolders } from './holders.js'
import { isOutside, joinHops, recordedPrincipal } from './hops.js'
import { type HopAsker, type HopPlace, type HopRequest, judgeHop } from './judge-hop.js'
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
  const request = resolveRecorded(parts, rules, lease)
  if ('reason' in request) return say(request.reason)
  const looks = context.looks.map((look) => lookWithoutLease(look, lease))
  const decided = decideRecorded(rules.policy, lease, request, { ...context, looks })
  const reason = objectionIn(decided.verdict, lease, context.now)
  if (reason === null) return null
  const principal = decided.deniedBy?.input.principal.id ?? record.principal
  return { reason, policies: decided.verdict.policies, principal, decided }
}

/** What was asked for, the same for every hop. */
interface RecordedRequest extends HopRequest {
  readonly minTtlSeconds: number
}

/** By the catalogue and within the limits as they are now. */
function resolveRecorded(
  { providers }: Pick<Parts, 'providers'>,
  { catalogue, limits }: Rules,
  { record }: Lease,
): RecordedRequest | { reason: NoLonger } {
  try {
    const grant = catalogue.resolveGrant(record.action)
    return {
      grant,
      resource: catalogue.resolveResource(record.resource, grant),
      declared: checkContext(grant, record.declared ?? {}),
      ttlSeconds: Math.min(record.ttl, grant.ttl.maxSeconds, limits.lease.ttl),
      minTtlSeconds: providers.get(grant.provider)?.guarantees(grant.recipe).minTtlSeconds ?? 1,
    }
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    if (error.code === 'unknown_action' || error.code === 'unknown_resource') return { reason: error.code }
    if (error.code === 'invalid_request') return { reason: 'invalid_context' }
    throw error
  }
}

/** For the caller and for every ancestor, each as its own principal, under every ceiling (I7). */
function decideRecorded(policy: PolicyEngine, lease: Lease, request: RecordedRequest, context: LeaseContext): Judged {
  const { now, chain, looks } = context
  const [task, ...ancestors] = chain
  if (task === undefined) throw new Error(`${lease.id} has no task`)
  const { record } = lease
  const place: HopPlace = {
    now,
    // The lease itself is counted in its task.
    task: { openedAt: task.openedAt, depth: task.depth, activeLeases: Math.max(0, task.activeLeases - 1) },
    approval: record.approval?.given,
  }
  const asker = { ...recordedPrincipal(task), binding: record.binding ?? 'none' }
  // Only an escalation has a lease that it goes beyond.
  const own = judgeHop(policy, request, place, {
    ...askerOf(asker, null, request, looks),
    isEscalation: record.follows !== undefined,
  })
  // Of those above nobody wrote down whether it was one: it follows from what is granted.
  const above = ancestors.map((one) =>
    judgeHop(policy, request, place, askerOf(recordedPrincipal(one), one.id, request, looks)),
  )
  const ceilings = chain.flatMap(({ ceiling }) => (ceiling ? [ceiling] : []))
  const joined = joinHops(own.verdict, above, isOutside(ceilings, record.action, record.resource))
  return { ...joined, input: own.input, own, above, ceilings }
}

function askerOf(
  principal: Principal,
  task: string | null,
  { grant, resource, ttlSeconds, minTtlSeconds }: RecordedRequest,
  looks: readonly CountedLook[],
): HopAsker {
  const holders = ownHolders(looks, principal)
  return {
    principal,
    task,
    holders,
    isEscalation: isEscalation(holders, { access: grant.access, resource, ttlSeconds }),
    most: { ttlSeconds, minTtlSeconds },
  }
}

function objectionIn(verdict: Verdict, { record, issuedAt }: Lease, now: number): NoLonger | null {
  if (verdict.effect === 'deny') return verdict.code === 'denied' ? verdict.reason : verdict.code
  if (verdict.effect === 'approval_required' && !approvalStands(record, verdict)) return 'approval_required'
  // What is left of a lease that may live less long now; one that is not issued yet has its whole life before it.
  return issuedAt !== null && issuedAt + verdict.ttlSeconds * 1000 < now ? 'lifetime' : null
}

const subjectOf = (principal: string) => principal.slice(issuerOf(principal).length + 1)
