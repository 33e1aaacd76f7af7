// GET /v1/audit and GET /v1/tasks/:id/timeline: what happened, of the records that brokers keep at hand.
import { z } from 'zod'
import * as fields from './fields.js'

/** An audit record, shortened: no sealed handle, no recipe, of a decision's input the request alone. The files have all of it. */
export const auditEntry = z.looseObject({
  event: z.string(),
  time: z.string(),
  seq: z.int(),
  instance: z.string(),
  /** True: the caller says so, and nobody verified it. */
  claimed: z.boolean().optional(),
  task: z.string().optional(),
  lease: z.string().optional(),
  principal: z.string().optional(),
  actor: z.string().optional(),
})
export type AuditEntry = z.infer<typeof auditEntry>

/** `complete: false`: bounds cut it, or records could not be copied; the files have the whole of it. */
export const timelineAnswer = z.object({ task: z.string(), complete: z.boolean(), records: z.array(auditEntry) })
export type Timeline = z.infer<typeof timelineAnswer>

export const auditQuery = z.strictObject({
  task: fields.idOf('task').optional(),
  principal: fields.callerName.optional(),
  account: fields.callerName.optional(),
  type: z
    .string()
    .regex(/^[a-z_]+(?:\.[a-z_]+)?$/, 'expected an event such as lease.issued, or its first word')
    .max(64)
    .optional(),
  from: fields.timestamp.optional(),
  to: fields.timestamp.optional(),
  cursor: fields.cursor.optional(),
  limit: fields.limit.optional(),
})

/** `window`: what could be found at all. Older records, and whole ones, are in the files. */
export const auditList = z.object({
  records: z.array(auditEntry),
  next_cursor: z.string().nullable(),
  window: z.object({
    covers: z.string(),
    most_records: z.int(),
    most_claimed: z.int(),
    oldest: fields.timestamp.nullable(),
    newest: fields.timestamp.nullable(),
  }),
})
export type AuditList = z.infer<typeof auditList>
