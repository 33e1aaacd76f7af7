// Tasks on the wire: opened for a purpose, with a deadline, and completed with an outcome.
import { z } from 'zod'
import { credentialAnswer, credentialRequest, dryRunAnswer } from './credentials.js'
import * as fields from './fields.js'
import { receipt } from './leases.js'

export const task = z.object({
  id: z.string(),
  principal: z.string(),
  account: z.string(),
  instance: z.string().nullable(),
  parent: z.string().nullable(),
  depth: z.int(),
  /** The sub-agent that works on it under its parent's identity. */
  agent: z.string().optional(),
  purpose: z.string(),
  state: z.enum(['open', 'ended']),
  outcome: z.string().nullable(),
  opened_at: fields.timestamp,
  expires_at: fields.timestamp,
  ended_at: fields.timestamp.nullable(),
})
export type Task = z.infer<typeof task>

export const openTaskRequest = z.strictObject({
  purpose: fields.purpose,
  ttl_seconds: fields.ttlSeconds.optional(),
  /** Missing one ends the task as `abandoned`. */
  heartbeat_seconds: fields.heartbeatSeconds.optional(),
  /** A child task: below the task that this delegation is of, and within its ceiling. */
  delegation: fields.idOf('dlg').optional(),
  credentials: z.array(credentialRequest).min(1).max(20).optional(),
})
export type OpenTaskRequest = z.infer<typeof openTaskRequest>

export const openTaskAnswer = z.object({
  task,
  task_token: z.string(),
  credentials: z.array(credentialAnswer).optional(),
})
export type OpenTaskAnswer = z.infer<typeof openTaskAnswer>

/** `dry_run`: what would be decided of the credentials, in their order; no task is opened. */
export const openTaskQuery = z.strictObject({ dry_run: z.enum(['true', 'false']).optional() })
export const openTaskDryRun = z.object({ decisions: z.array(dryRunAnswer) })

export const completeRequest = z.strictObject({ outcome: z.enum(['succeeded', 'failed', 'cancelled']).optional() })
export const completeAnswer = z.object({ task, receipts: z.array(receipt) })
export type CompleteAnswer = z.infer<typeof completeAnswer>

/** Nothing, or `{}`, which many a client sends by itself. */
export const heartbeatRequest = z.strictObject({})
/** `next_before`: when the next one is wanted; null where the task was opened without `heartbeat_seconds`. */
export const heartbeatAnswer = z.object({ task, next_before: fields.timestamp.nullable() })
export type HeartbeatAnswer = z.infer<typeof heartbeatAnswer>

export const taskQuery = z.strictObject({
  state: z.enum(['open', 'ended']).optional(),
  principal: fields.callerName.optional(),
  account: fields.callerName.optional(),
  cursor: fields.cursor.optional(),
  limit: fields.limit.optional(),
})
export const taskList = z.object({ tasks: z.array(task), next_cursor: z.string().nullable() })
