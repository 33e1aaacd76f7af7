// Locks on the wire: a target that gets nothing until its lock is removed or its time is up.
import { z } from 'zod'
import * as fields from './fields.js'
import { type Target, target } from './revocations.js'

type LockTarget = Exclude<Target, { where: unknown }>

/** What is stopped: names alone, since what is asked for is compared with names before there is a lease to filter. */
const lockTarget = target.refine((one): one is LockTarget => !('where' in one), {
  error:
    'a lock takes one name (lease, task, principal, account, issuer, action, resource, provider) or all, not where',
})

export const lockRequest = z.strictObject({
  target: lockTarget,
  reason: fields.reason,
  /** As a lock shows it: null is a lock without an end. */
  expires_at: fields.timestamp.nullish(),
})
export type LockRequest = z.infer<typeof lockRequest>

export const lock = z.object({
  id: z.string(),
  target: z.record(z.string(), z.union([z.string(), z.literal(true)])),
  reason: z.string(),
  expires_at: fields.timestamp.nullable(),
  created_at: fields.timestamp,
})
export type Lock = z.infer<typeof lock>

export const lockQuery = z.strictObject({ cursor: fields.cursor.optional(), limit: fields.limit.optional() })
export const lockList = z.object({ locks: z.array(lock), next_cursor: z.string().nullable() })
