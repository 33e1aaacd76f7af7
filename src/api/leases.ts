// Leases on the wire: what lives, until when, and with which evidence it ended.
import { z } from 'zod'
import * as fields from './fields.js'

export const leaseState = z.enum([
  'reserved',
  'active',
  'revoking',
  'revoked',
  'expired',
  'released',
  'void',
  'failed',
  'abandoned',
])

export const receipt = z.object({
  lease_id: z.string(),
  outcome: z.enum(['confirmed', 'pending', 'expires_at', 'not_revocable', 'failed']),
  at: fields.timestamp,
  evidence: z.enum(['probe_dead', 'gone_at_provider', 'natural_end', 'none']),
  expires_at: fields.timestamp,
  sessions: z.enum(['ended', 'may_continue']),
})
export type Receipt = z.infer<typeof receipt>

export const lease = z.object({
  id: z.string(),
  task_id: z.string(),
  principal: z.string(),
  account: z.string(),
  action: z.string(),
  access: z.enum(['read', 'write', 'deploy', 'admin']),
  resource: z.string(),
  provider: z.string(),
  state: leaseState,
  revocation: z.enum(['immediate', 'deny_policy', 'natural_expiry', 'standing']),
  issued_at: fields.timestamp.nullable(),
  expires_at: fields.timestamp,
  /** Null before it was issued, and for the copy of a standing secret, which no time ends. */
  provider_expires_at: fields.timestamp.nullable(),
  provider_ref: z.string().nullable(),
  follows: z.string().nullable(),
  ended_at: fields.timestamp.nullable(),
  end_reason: z.string().nullable(),
  receipt: receipt.nullable(),
})
export type Lease = z.infer<typeof lease>

export const leaseFilter = z.strictObject({
  state: z
    .union([leaseState, z.literal('live')], { error: `expected live, or one of ${leaseState.options.join(', ')}` })
    .optional(),
  principal: fields.callerName.optional(),
  account: fields.callerName.optional(),
  /** An account, or one with its instance behind a `#`. */
  session: z
    .string()
    .max(2 * 2304)
    .optional(),
  issuer: z.string().max(128).optional(),
  task: fields.idOf('task').optional(),
  action: fields.actionName.optional(),
  resource: fields.resourceId.optional(),
  provider: z.string().max(128).optional(),
  policy: z.string().max(256).optional(),
  issued_after: fields.timestamp.optional(),
  issued_before: fields.timestamp.optional(),
  fingerprint: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'expected a SHA-256 in hex')
    .toLowerCase()
    .optional(),
})

export const leaseQuery = leaseFilter.extend({ cursor: fields.cursor.optional(), limit: fields.limit.optional() })
export const leaseList = z.object({ leases: z.array(lease), next_cursor: z.string().nullable() })
export const releaseAnswer = z.object({ receipt })
export const waitQuery = z.strictObject({ wait_seconds: fields.waitSeconds.optional() })

/** Why, for the audit. A retry needs none, an abandonment does. */
export const retryRequest = z.strictObject({ reason: fields.reason.optional() })
export const abandonRequest = z.strictObject({ reason: fields.reason })
export const leaseAnswer = z.object({ lease })
