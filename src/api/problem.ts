// What every refusal looks like.
import { z } from 'zod'

/** RFC 9457, with our stable `code`. */
export const problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  reason: z.string().optional(),
})
export type Problem = z.infer<typeof problem>

/** What the OAuth faces answer instead (RFC 6749 section 5.2). */
export const oauthError = z.object({ error: z.string(), error_description: z.string() })
