// A chain of principals asks as one: what any of them may not, none of them gets (I7).
import type { Json } from '../core/canonical-json.js'
import type { Principal } from '../identity/principal.js'
import type { CeilingPair } from '../ledger/delegation.js'
import { issuerOf } from '../ledger/lease.js'
import type { Task } from '../ledger/task.js'
import type { DecisionInput, OfferBounds, Standing, Verdict } from '../policy/decision.js'

/** One principal of the chain, and what was decided for it. */
export interface Hop {
  /** The ancestor's task; null for the caller's own, which need not exist yet. */
  readonly task: string | null
  readonly input: DecisionInput
  readonly bounds: OfferBounds
  readonly standing: Standing
  readonly verdict: Verdict
}

/** Whoever opened a task, as it was verified then; its groups are those of now. */
export function recordedPrincipal(task: Task): Principal {
  const issuer = issuerOf(task.principal)
  const session = task.holders.find(({ kind }) => kind === 'session')
  return {
    id: task.principal,
    issuer,
    subject: task.principal.slice(issuer.length + 1),
    use: 'workload',
    attributes: task.attributes,
    account: task.account,
    instance: task.instance,
    sessionSeconds: (session?.windowMs ?? 0) / 1000,
    binding: task.binding ?? 'none',
    person: null,
    tokenSha256: '',
    tokenExpiresAt: 0,
    ...(task.delegation !== undefined && task.agent !== undefined
      ? { delegation: task.delegation, agent: task.agent }
      : {}),
  }
}

/** Whether any of the ceilings leaves it out. */
export const isOutside = (ceilings: readonly (readonly CeilingPair[])[], action: string, resource: string) =>
  ceilings.some((ceiling) => !ceiling.some((pair) => pair[0] === action && pair[1] === resource))

/** The verdict of all: any deny is a deny, approvals add up, the least lifetime counts. */
export function joinHops<Above extends Pick<Hop, 'verdict'>>(
  own: Verdict,
  above: readonly Above[],
  outside: boolean,
): { verdict: Verdict; deniedBy: Above | null } {
  if (outside)
    return { verdict: { effect: 'deny', code: 'denied', reason: 'outside_ceiling', policies: [] }, deniedBy: null }
  if (own.effect === 'deny') return { verdict: own, deniedBy: null }
  let joined: Exclude<Verdict, { effect: 'deny' }> = own
  for (const hop of above) {
    if (hop.verdict.effect === 'deny') return { verdict: hop.verdict, deniedBy: hop }
    joined = joinTwo(joined, hop.verdict)
  }
  return { verdict: joined, deniedBy: null }
}

type Granted = Exclude<Verdict, { effect: 'deny' }>

function joinTwo(below: Granted, above: Granted): Granted {
  const counts = new Map<string, number>()
  // Of one group the larger number covers the smaller: the same people answer the same request.
  for (const { group, count } of [...approvalsOf(below), ...approvalsOf(above)]) {
    counts.set(group, Math.max(counts.get(group) ?? 0, count))
  }
  const joined = {
    policies: [...new Set([...below.policies, ...above.policies])],
    offer: below.offer,
    ttlSeconds: Math.min(below.ttlSeconds, above.ttlSeconds),
  }
  if (counts.size === 0) return { effect: 'permit', ...joined }
  return { effect: 'approval_required', ...joined, approvals: [...counts].map(([group, count]) => ({ group, count })) }
}

const approvalsOf = (verdict: Granted) => (verdict.effect === 'approval_required' ? verdict.approvals : [])

/**
 * What the audit keeps of an ancestor's decision. Its input is the caller's but for these members, and its bounds are but for
 * the binding: with them it can be decided again (I10).
 */
export function hopRecord({ task, input, standing, verdict }: Hop): Json {
  const { principal, session, account, recentDenials, escalation, binding } = input
  return {
    task,
    effect: verdict.effect,
    policies: [...verdict.policies],
    ...('reason' in verdict ? { reason: verdict.reason } : {}),
    ...('offer' in verdict ? { offer: verdict.offer as unknown as Json, ttl_seconds: verdict.ttlSeconds } : {}),
    input: { principal, session, account, recentDenials, escalation, binding } as unknown as Json,
    standing: standing as unknown as Json,
  }
}
