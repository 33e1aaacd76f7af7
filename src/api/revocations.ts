// POST /v1/revocations: an operator's order to end whatever a target reaches.
import { z } from 'zod'
import * as fields from './fields.js'
import { leaseFilter, receipt } from './leases.js'

const name = fields.callerName.min(1)

const attribute = z.union([z.string().max(2048), z.number(), z.boolean()])

/** Every part that is given must hold. An empty one would be `all` by mistake: refused. */
export const where = leaseFilter
  .extend({ attributes: z.record(z.string().min(1).max(128), attribute).optional() })
  .refine((filter) => Object.keys(filter).length > 0 && Object.keys(filter.attributes ?? { x: 1 }).length > 0, {
    error: 'expected at least one filter; {all: true} is everything',
  })
export type Where = z.infer<typeof where>

/** What an order reaches: exactly one of these. */
export const target = z.union(
  [
    z.strictObject({ lease: fields.idOf('lease') }),
    z.strictObject({ task: fields.idOf('task') }),
    z.strictObject({ principal: name }),
    z.strictObject({ account: name }),
    z.strictObject({ issuer: name }),
    z.strictObject({ action: fields.actionName }),
    z.strictObject({ resource: fields.resourceId }),
    z.strictObject({ provider: name }),
    z.strictObject({ all: z.literal(true) }),
    z.strictObject({ where }),
  ],
  { error: 'expected exactly one of lease, task, principal, account, issuer, action, resource, provider, all, where' },
)
export type Target = z.infer<typeof target>

export const revocationRequest = z.strictObject({
  target,
  reason: fields.reason,
  dry_run: z.boolean().default(false),
  /** The target is locked that long, before anything of it is revoked. */
  lock_seconds: fields.ttlSeconds.optional(),
})
export type RevocationRequest = z.infer<typeof revocationRequest>

/** `lock`: the one that came first, where one was asked for. */
export const revocationAnswer = z.object({ id: z.string().nullable(), matched: z.int(), lock: z.string().optional() })
export type RevocationAnswer = z.infer<typeof revocationAnswer>

export const revocation = z.object({
  id: z.string(),
  state: z.enum(['running', 'done']),
  matched: z.int(),
  done: z.int(),
  failed: z.int(),
  receipts: z.array(receipt),
  next_cursor: z.string().nullable(),
})
export type Revocation = z.infer<typeof revocation>
export const revocationQuery = z.strictObject({
  cursor: fields.cursor.optional(),
  limit: fields.limit.optional(),
  wait_seconds: fields.waitSeconds.optional(),
})
