// What a change of rules does to live leases: what waits for an operator's word, and the word.
import { z } from 'zod'
import * as fields from './fields.js'

/** The rules' hash as readiness shows it, or the hash of their policy set; their beginnings do. */
export const rulesHash = z.string().regex(/^[0-9a-f]{12,64}$/, 'expected 12 to 64 hexadecimal digits of a hash')

export const applyRequest = z.strictObject({ hash: rulesHash, reason: fields.reason })

export const policyChange = z.object({
  /** All that decisions rest on: policies, groups, grants, resources, limits, what issuers require. */
  rules: z.string(),
  /** Null: this broker decides by other rules. */
  policy_set: z.string().nullable(),
  state: z.enum(['due', 'waiting', 'done']),
  /** As counted when it began to wait, or was done. */
  live: z.int(),
  would_end: z.int(),
  /** Told to end on account of it, so far. */
  ended: z.int(),
  /** Told to end by changes of the ten minutes before it, without a word: the brake counts them together. */
  ended_lately: z.int(),
  adopted_at: fields.timestamp,
})
export type PolicyChange = z.infer<typeof policyChange>

export const noLonger = z.object({
  lease: z.string(),
  task: z.string(),
  principal: z.string(),
  account: z.string(),
  action: z.string(),
  access: z.string(),
  resource: z.string(),
  expires_at: fields.timestamp,
  reason: z.string(),
  policies: z.array(z.string()),
})
export type NoLongerPermitted = z.infer<typeof noLonger>

export const pendingQuery = z.strictObject({ cursor: fields.cursor.optional() })
/** Pages by what was looked at: one may be empty, and another follow. */
export const pendingList = z.object({
  change: policyChange.nullable(),
  leases: z.array(noLonger),
  next_cursor: z.string().nullable(),
})
export type PendingList = z.infer<typeof pendingList>
