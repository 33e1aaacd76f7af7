// A decision as the audit has it → the situation that it was made in. What the record does not hold is told as a note.
import { z } from 'zod'
import { listChains, readRecords } from '../audit/read-records.js'
import type { Settings } from '../config/schema.js'
import type { Json } from '../core/canonical-json.js'
import type { DecisionInput, OfferBounds, Standing } from '../policy/decision.js'
import { createGroups } from '../policy/groups.js'
import { floorOf, type Situation } from './situation.js'

export interface RecordedDecision {
  readonly effect: string
  readonly policies: readonly string[]
  readonly policySet: string
  readonly ttlSeconds: number | null
  readonly input: DecisionInput
  /** Why it was denied, such as `outside_ceiling`. */
  readonly reason: string | null
  /** Whether somebody stood above the caller: what they were permitted and what they handed on was judged as well. */
  readonly hasAncestors: boolean
  /** The groups and the access class that it was decided with; null in records from before they were kept. */
  readonly standing: Standing | null
  /** What the lifetime and the offers were measured against; null as well. */
  readonly bounds: OfferBounds | null
}

const text = z.string()
const holdings = z.looseObject({ activeLeases: z.int(), holding: z.array(text), granted: z.array(text) })
const standing = z.looseObject({
  groups: z.array(text),
  access: z.enum(['read', 'write', 'deploy', 'admin']).nullable(),
})
const bounds = z.looseObject({
  ttlSeconds: z.number(),
  minTtlSeconds: z.number(),
  binding: text,
  require: z.looseObject({}),
})
const recorded = z.looseObject({
  effect: text,
  policies: z.array(text),
  policySet: text,
  ttl_seconds: z.int().optional(),
  reason: text.nullish(),
  ancestors: z.array(z.unknown()).optional(),
  standing: standing.optional(),
  bounds: bounds.optional(),
  input: z.looseObject({
    principal: z.looseObject({
      id: text,
      issuer: text,
      subject: text,
      use: text,
      attributes: z.looseObject({}),
      account: text,
    }),
    action: text,
    resource: z.looseObject({ id: text, type: text, attributes: z.looseObject({}) }),
    requestedTtlSeconds: z.int(),
    declared: z.looseObject({}),
    task: z.looseObject({ ageSeconds: z.int(), depth: z.int(), activeLeases: z.int() }),
    session: holdings,
    account: holdings,
    recentDenials: z.int(),
    escalation: z.boolean(),
    binding: text,
    now: z.number(),
  }),
})

/** Searches every chain of a local audit folder. Null where no record has that decision, or it holds no input. */
export async function findRecordedDecision(directory: string, id: string): Promise<RecordedDecision | null> {
  for (const folder of (await listChains(directory)).values()) {
    for await (const record of readRecords(folder)) {
      const found = decisionIn(record.decision as Json | undefined, id)
      if (found !== null) return found
    }
  }
  return null
}

function decisionIn(decision: Json | undefined, id: string): RecordedDecision | null {
  if (typeof decision !== 'object' || decision === null || !('id' in decision) || decision.id !== id) return null
  const parsed = recorded.safeParse(decision)
  if (!parsed.success) return null
  const { effect, policies, policySet, ttl_seconds, reason, ancestors, input } = parsed.data
  const { standing: then = null, bounds: measured } = parsed.data
  return {
    effect,
    policies,
    policySet,
    ttlSeconds: ttl_seconds ?? null,
    input: input as unknown as DecisionInput,
    reason: reason ?? null,
    hasAncestors: (ancestors ?? []).length > 0,
    standing: then,
    bounds: measured === undefined ? null : (measured as unknown as OfferBounds),
  }
}

/**
 * As it was decided: with the groups, the access class and the bounds of then. Where a record does not hold them, those of now
 * stand in. Null where the configuration has no such grant any more.
 */
export function situationOfRecord(
  { input, ttlSeconds, standing: then, bounds: measured }: RecordedDecision,
  settings: Settings,
): Situation | null {
  const { principal, action, requestedTtlSeconds } = input
  const grant = Object.hasOwn(settings.grants, action) ? settings.grants[action] : undefined
  if (grant === undefined) return null
  return {
    kind: 'grant',
    principal,
    groups: then?.groups ?? groupsOfNow(input, settings),
    grant,
    askedTtlSeconds: requestedTtlSeconds,
    input,
    bounds: measured ?? {
      // How long the task had left is not recorded; what came of it is.
      ttlSeconds: ttlSeconds ?? requestedTtlSeconds,
      minTtlSeconds: floorOf(grant, settings),
      binding: input.binding,
      require: grant.require,
    },
    ...(then === null ? {} : { standing: then }),
  }
}

export const groupsOfNow = ({ principal }: Pick<DecisionInput, 'principal'>, { groups }: Settings): string[] =>
  createGroups(groups).groupsOf(principal)
