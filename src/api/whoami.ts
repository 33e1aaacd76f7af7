// What the broker verified of its caller: `GET /v1/whoami`.
import { z } from 'zod'

export const whoami = z.strictObject({
  /** `issuer-name:subject`. */
  id: z.string(),
  use: z.enum(['workload', 'operator']),
  issuer: z.string(),
  subject: z.string(),
  account: z.string(),
  instance: z.string().nullable(),
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
  binding: z.enum(['none', 'dpop', 'mtls']),
  /** The claim by which approvers are counted as people; null where the issuer names none. */
  person: z.string().nullable(),
  /** When the token that was shown ends, RFC 3339. */
  token_expires_at: z.iso.datetime(),
})
export type WhoAmI = z.infer<typeof whoami>
