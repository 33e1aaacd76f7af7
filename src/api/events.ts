// POST /v1/tasks/:id/events: what a worker says that it did. Nobody verified it, so all of it is bounded.
import { z } from 'zod'
import * as fields from './fields.js'

const visible = /^[^\p{Cc}\p{Cs}]*$/u
const text = (max: number) => z.string().min(1).max(max).regex(visible, 'expected text without control characters')
/** Line ends and tabs are in what tools print; other control characters could lead a terminal astray. */
const longText = z
  .string()
  .max(2000)
  .regex(/^(?:[^\p{Cc}\p{Cs}]|[\n\r\t])*$/u, 'expected text without control characters')

const detailName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, 'expected a name of at most 64 characters')
const detailValue = z.union([longText, z.number(), z.boolean(), z.null()])
const detailObject = z
  .record(detailName, detailValue)
  .refine((members) => Object.keys(members).length <= 20, 'expected at most 20 members')

/** One tool call, as the caller tells it. */
export const toolCall = z.strictObject({
  type: z.literal('tool_call'),
  tool: text(128),
  action: fields.actionName.optional(),
  resource: fields.resourceId.optional(),
  outcome: z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'expected a word such as ok, error or denied'),
  at: fields.timestamp.optional(),
  detail: z.union([longText, detailObject], 'expected text of at most 2,000 characters, or a flat object').optional(),
})
export type ToolCall = z.infer<typeof toolCall>

export const eventsRequest = z.strictObject({ events: z.array(toolCall).min(1).max(100) })
export type EventsRequest = z.input<typeof eventsRequest>

/** `remaining`: of `limits.task.events`. */
export const eventsAnswer = z.object({ recorded: z.int(), remaining: z.int(), redacted: z.int() })
export type EventsAnswer = z.infer<typeof eventsAnswer>
