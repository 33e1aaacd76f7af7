// The `dpop:` section of the configuration.
import { z } from 'zod'
import type { Clock } from '../core/clock.js'
import type { Secret } from '../core/secret.js'
import { duration } from '../core/settings.js'
import { createDpopNonces } from './dpop-nonce.js'
import type { DpopRules } from './dpop-proof.js'

export const dpopConfig = z
  .strictObject({
    max_age: duration.refine((seconds) => seconds >= 1 && seconds <= 300, 'expected 1s to 5m').prefault('60s'),
    nonce: z.boolean().default(false),
  })
  .prefault({})

/** `issuer`: what `htu` has to start with; `sealing`: the secret that all brokers of a deployment share. */
export function createDpopRules(
  config: z.output<typeof dpopConfig>,
  deployment: { readonly issuer: string; readonly sealing: Secret },
  clock: Clock,
): DpopRules {
  const { issuer, sealing } = deployment
  const nonces = config.nonce ? createDpopNonces(sealing, issuer, clock) : null
  return { baseUrl: issuer, maxAgeSeconds: config.max_age, nonces }
}
