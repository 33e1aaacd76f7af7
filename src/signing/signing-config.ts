// The `keys:` section of the configuration.
import { z } from 'zod'
import { Secret } from '../core/secret.js'

const base64Of32Bytes = /^[A-Za-z0-9+/]{43}=$/

export const keysConfig = z.strictObject({
  /** Of the private JWK sets by purpose, as `hallpass keys create` makes them. */
  directory: z.string().min(1),
  /** 32 bytes in base64, a comma-separated list while rotating: the first seals, all unseal. */
  sealing: z
    .string()
    .refine(
      (text) => text.split(',').every((key) => base64Of32Bytes.test(key.trim())),
      'expected 32 bytes in base64 (openssl rand -base64 32), or a comma-separated list of such',
    )
    .transform((text) => new Secret(text)),
})
