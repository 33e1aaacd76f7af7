// The `approvals.webhook:` section of the configuration.
import { z } from 'zod'
import { Secret } from '../core/secret.js'
import { duration, httpsUrl } from '../core/settings.js'

const timeout = duration.refine((seconds) => seconds >= 1 && seconds <= 60, 'expected 1s to 60s')

export const webhookConfig = z.strictObject({
  url: httpsUrl,
  /** As Standard Webhooks writes it; a comma-separated list while rotating: each signs. */
  secret: z
    .string()
    .refine(
      (text) => text.split(',').every((one) => keyOf(one) !== null),
      'expected whsec_ and 24 to 64 bytes in base64 (echo "whsec_$(openssl rand -base64 32)"), or a comma-separated list of such',
    )
    .transform((text) => new Secret(text)),
  timeout: timeout.prefault('5s'),
  allow_private_addresses: z.boolean().default(false),
})
export type WebhookConfig = z.output<typeof webhookConfig>

/** The keys that sign, each as bytes. */
export function signingKeys(secret: Secret): Buffer[] {
  return secret
    .reveal()
    .split(',')
    .flatMap((one) => keyOf(one) ?? [])
}

function keyOf(text: string): Buffer | null {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text.trim()) ?? []
  if (base64 === undefined) return null
  const key = Buffer.from(base64, 'base64')
  return key.length >= 24 && key.length <= 64 ? key : null
}
