import { z } from 'zod'
import * as fields from './fields.js'
import { receipt } from './leases.js'

const name = z.string().min(1).max(2048)

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
  ],
  { error: 'expected exactly one of lease, task, principal, account, issuer, action, resource, provider, all' },
)
export type Target = z.infer<typeof target>

export const revocationRequest = z.strictObject({ target, reason: fields.reason, dry_run: z.boolean().default(false) })
export type RevocationRequest = z.infer<typeof revocationRequest>

export const revocationAnswer = z.object({ id: z.string().nullable(), matched: z.int() })
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
