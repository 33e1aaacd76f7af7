// POST /v1/tasks/:id/credentials: what is asked for, and the one answer that holds a secret.
import { z } from 'zod'
import * as fields from './fields.js'
import { lease } from './leases.js'

/** What the caller declares about the change; each grant says which names it takes and of what type. */
export const declaredContext = z.record(z.string().max(64), z.union([z.string().max(256), z.int(), z.boolean()]))

export const credentialRequest = z.strictObject({
  action: fields.actionName,
  resource: fields.resourceId,
  ttl_seconds: fields.ttlSeconds.optional(),
  context: declaredContext.default({}),
  approval_id: fields.idOf('appr').nullable().optional(),
})
export type CredentialRequest = z.infer<typeof credentialRequest>

export const decision = z.object({
  id: z.string(),
  effect: z.enum(['permit', 'deny', 'approval_required']),
  policies: z.array(z.string()),
})

const ends = { expires_at: fields.timestamp }
export const credential = z.discriminatedUnion('type', [
  z.object({ type: z.literal('jwt'), token: z.string(), token_type: z.enum(['Bearer', 'DPoP']), ...ends }),
  z.object({ type: z.literal('vault_secret'), data: z.record(z.string(), z.unknown()), ...ends }),
  z.object({ type: z.literal('vault_token'), token: z.string(), address: z.string(), ...ends }),
  z.object({
    type: z.literal('aws'),
    access_key_id: z.string(),
    secret_access_key: z.string(),
    session_token: z.string(),
    region: z.string(),
    ...ends,
  }),
])
export type Credential = z.infer<typeof credential>

/** `env`: the grant's mapping for `exec`, with `${credential.…}` still to be filled by the client. */
export const credentialAnswer = z.object({
  lease,
  credential,
  decision,
  env: z.record(z.string(), z.string()).optional(),
})
export type CredentialAnswer = z.infer<typeof credentialAnswer>

export const dryRunAnswer = z.object({ decision, ttl_seconds: z.int().nullable() })
export const credentialQuery = z.strictObject({ dry_run: z.enum(['true', 'false']).optional() })
