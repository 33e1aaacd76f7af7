// A decision as the audit holds it (decisionRecord in refusal.ts), read back so that it can be made again (I10).
import { z } from 'zod'
import type { StoredRecord } from '../audit/read-records.js'
import type { CeilingPair } from '../ledger/delegation.js'
import type { DecisionInput, OfferBounds, Standing, Verdict } from '../policy/decision.js'

export interface RecordedDecision {
  readonly id: string
  /** Chain and place in it. */
  readonly instance: string
  readonly seq: number
  /** When it was written, RFC 3339. */
  readonly time: string
  readonly task: string | null
  readonly policySet: string
  readonly verdict: Verdict
  /** Null in records from before they were kept: such a decision cannot be made again. */
  readonly basis: DecisionBasis | null
  readonly principal: string
  readonly account: string
  readonly action: string
  readonly resource: string
}

/** What one hop of a chain is decided on, beside the policies. */
interface HopBasis {
  readonly input: DecisionInput
  readonly bounds: OfferBounds
  readonly standing: Standing
}

/** All that a decision is made of, beside the policies. */
export interface DecisionBasis extends HopBasis {
  /** From the parent up: each is judged over the same request (I7). */
  readonly above: readonly (HopBasis & { readonly task: string | null })[]
  readonly ceilings: readonly (readonly CeilingPair[])[]
}

const texts = z.array(z.string())
const seconds = z.number()
const binding = z.enum(['none', 'dpop', 'mtls'])
const wantedBinding = z.enum(['dpop', 'mtls', 'any']).nullable()
const approval = z.object({ group: z.string(), count: z.int() })
const attributes = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), texts]))
const holdings = z.looseObject({
  activeLeases: z.number(),
  holding: texts,
  holdingAccess: texts,
  holdingResources: texts,
  granted: texts,
  grantedAccess: texts,
  grantedResources: texts,
})
// Loose: a later version's members are kept, since what decides reads them from the same input.
const ofHop = {
  principal: z.looseObject({
    id: z.string(),
    issuer: z.string(),
    subject: z.string(),
    use: z.enum(['workload', 'operator']),
    attributes,
    account: z.string(),
  }),
  session: holdings,
  account: holdings,
  recentDenials: z.number(),
  escalation: z.boolean(),
  binding,
}
const input = z.looseObject({
  ...ofHop,
  action: z.string(),
  resource: z.looseObject({ id: z.string(), type: z.string(), attributes }),
  requestedTtlSeconds: seconds,
  declared: z.record(z.string(), z.json()),
  task: z.looseObject({ ageSeconds: z.number(), depth: z.number(), activeLeases: z.number() }),
  now: z.number(),
})
const bounds = z.looseObject({
  ttlSeconds: seconds,
  minTtlSeconds: seconds,
  binding,
  require: z.looseObject({ approval: approval.nullable(), binding: wantedBinding, maxTtlSeconds: seconds.nullable() }),
})
const standing = z.looseObject({ groups: texts, access: z.enum(['read', 'write', 'deploy', 'admin']).nullable() })
const offer = z.looseObject({
  policy: z.string(),
  maxTtlSeconds: seconds.nullable(),
  approval: approval.nullable(),
  binding: wantedBinding,
})
const decision = z.looseObject({
  id: z.string(),
  effect: z.enum(['permit', 'deny', 'approval_required']),
  policies: texts,
  policySet: z.string(),
  code: z.enum(['denied', 'binding_required']).optional(),
  reason: z.enum(['no_permit', 'forbidden', 'outside_ceiling', 'policy_error', 'lifetime']).optional(),
  offer: offer.optional(),
  ttl_seconds: seconds.optional(),
  approvals: z.array(approval).optional(),
  input,
  bounds: bounds.optional(),
  standing: standing.optional(),
  ancestors: z
    .array(z.looseObject({ task: z.string().nullable(), input: z.looseObject(ofHop), standing: standing.optional() }))
    .default([]),
  ceilings: z.array(z.array(z.tuple([z.string(), z.string()]))).default([]),
})

/** Bytes that every record with a decision holds. */
export const decisionNeedle = '"decision":{'

export type DecisionReading = RecordedDecision | 'none' | 'unreadable'

/** The decision in a record: `none` where it tells of none, `unreadable` where one stands there that has not its form. */
export function readDecision(record: StoredRecord): DecisionReading {
  const { decision: value } = record
  if (typeof value !== 'object' || value === null || !('input' in value)) return 'none'
  const parsed = decision.safeParse(value)
  if (!parsed.success) return 'unreadable'
  const { data } = parsed
  const verdict = verdictOf(data)
  if (verdict === null) return 'unreadable'
  // Sound: the schemas above are the types' members that anything here or in the engine reads.
  const typed = data as unknown as { input: DecisionInput }
  return {
    id: data.id,
    instance: record.instance,
    seq: record.seq,
    time: record.time,
    task: record.task ?? null,
    policySet: data.policySet,
    verdict,
    basis: basisOf(data),
    principal: typed.input.principal.id,
    account: typed.input.principal.account,
    action: typed.input.action,
    resource: typed.input.resource.id,
  }
}

/** Null where a hop's groups or bounds were not kept. */
function basisOf(data: z.output<typeof decision>): DecisionBasis | null {
  // Sound, as above.
  const own = data as unknown as Partial<HopBasis> & Pick<DecisionBasis, 'input' | 'ceilings'>
  const { input: asked, bounds: allowed, standing: then, ceilings } = own
  if (allowed === undefined || then === undefined) return null
  const above = data.ancestors.flatMap((hop) => {
    if (hop.standing === undefined) return []
    const { task, standing: theirs } = hop
    const theirInput = { ...asked, ...(hop.input as unknown as DecisionInput) }
    return [{ task, input: theirInput, bounds: { ...allowed, binding: theirInput.binding }, standing: theirs }]
  })
  if (above.length < data.ancestors.length) return null
  return { input: asked, bounds: allowed, standing: then, above, ceilings }
}

/** Null where members are missing that the effect has. */
function verdictOf(data: z.output<typeof decision>): Verdict | null {
  const { effect, policies, reason, offer: taken, ttl_seconds: ttlSeconds } = data
  if (effect === 'deny') {
    if (reason !== undefined) return { effect, code: 'denied', reason, policies }
    return { effect, code: 'binding_required', policies }
  }
  if (taken === undefined || ttlSeconds === undefined) return null
  // A permit that names approvals was one once they were given: what the policies said is that they are required.
  const { approvals = [] } = data
  if (effect === 'permit' && approvals.length === 0) return { effect, policies, offer: taken, ttlSeconds }
  return { effect: 'approval_required', policies, offer: taken, ttlSeconds, approvals }
}
