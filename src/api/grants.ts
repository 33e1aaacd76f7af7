// What may be asked for: `GET /v1/grants`.
import { z } from 'zod'
import * as fields from './fields.js'

export const grantQuery = z.strictObject({
  /** Only what can be asked on it, each with `may`. */
  resource: fields.resourceId.optional(),
  cursor: fields.cursor.optional(),
  limit: fields.limit.optional(),
})

const contextField = z.object({
  type: z.enum(['string', 'integer', 'boolean']),
  one_of: z.array(z.union([z.string(), z.int()])).optional(),
  /** Matched whole. */
  pattern: z.string().optional(),
  optional: z.boolean(),
})

export const grant = z.object({
  action: z.string(),
  access: z.enum(['read', 'write', 'deploy', 'admin']),
  resource_type: z.string(),
  /** What has to be declared about the change. */
  context: z.record(z.string(), contextField),
  /** Asked below `min_seconds` is refused, above `max_seconds` narrowed. */
  ttl: z.object({ default_seconds: z.int(), min_seconds: z.int(), max_seconds: z.int() }),
  revocation: z.enum(['immediate', 'deny_policy', 'natural_expiry', 'standing']),
  /** At best: what a request by this caller would be answered now, with the values that suit it among those that may be declared. */
  may: z.enum(['yes', 'approval', 'no']).optional(),
})
export type Grant = z.infer<typeof grant>

export const grantList = z.object({ grants: z.array(grant), next_cursor: z.string().nullable() })
export type GrantList = z.infer<typeof grantList>
