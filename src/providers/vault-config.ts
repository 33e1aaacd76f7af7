// What an operator writes for a Vault: the provider's section, and the recipes of its grants.
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { BrokerError } from '../core/errors.js'
import { Secret } from '../core/secret.js'
import { duration, httpsUrl, type SettingProblem } from '../core/settings.js'
import type { JsonObject } from './provider.js'

const mount = z
  .string()
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/, 'expected a mount path such as jwt')
const roleName = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$/, 'expected the name of a role')
const absoluteFile = z.string().refine(isAbsolute, 'expected an absolute path (it is read again at every login)')

const auth = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('jwt'),
    mount: mount.default('jwt'),
    role: roleName,
    /** Default: the provider's address exactly as written; Vault compares it as text. */
    audience: z.string().min(1).optional(),
  }),
  z.strictObject({
    method: z.literal('approle'),
    mount: mount.default('approle'),
    role_id: z.string().min(1),
    secret_id: z
      .string()
      .min(1)
      .transform((text) => new Secret(text)),
  }),
  z.strictObject({
    method: z.literal('kubernetes'),
    mount: mount.default('kubernetes'),
    role: roleName,
    jwt_file: absoluteFile.default('/var/run/secrets/kubernetes.io/serviceaccount/token'),
  }),
  z.strictObject({ method: z.literal('token'), token_file: absoluteFile }),
])

/** `providers.<name>` with `type: vault`. `ca` is PEM text, `timeout` becomes seconds, `secret_id` a Secret. */
export const vaultConfig = z.strictObject({
  type: z.literal('vault'),
  address: httpsUrl.refine((text) => !text.includes('?'), 'expected an address without a query'),
  ca: z.string().includes('-----BEGIN CERTIFICATE-----', { error: 'expected certificates in PEM form' }).optional(),
  namespace: mount.optional(),
  auth,
  token_role: roleName,
  timeout: duration.refine((seconds) => seconds >= 1 && seconds <= 60, 'expected 1s to 60s').default(5),
  concurrency: z.int().min(1).max(1000).default(16),
})
export type VaultConfig = z.output<typeof vaultConfig>
export type VaultAuth = VaultConfig['auth']

export interface VaultRecipe {
  kind: 'secret' | 'token' | 'kv'
  /** Where the secret is read; null for kind `token`. */
  path: string | null
  policies: string[]
}

const placeholder = /\$\{[A-Za-z0-9_.]{1,128}\}/g
// After filling, a path is sent as it is: no dot segments (clients normalise them away), no encoding, no query, and no
// trailing slash (a 404 on Vault, a 500 on OpenBao).
const pathText = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$/
const policyText = /^[a-z0-9_-][a-z0-9_.-]{0,127}$/
// Vault's own machinery is no secrets engine: a recipe there could make tokens or change policies.
const ownPaths = /^(?:sys|auth|identity|cubbyhole)\//

const path = z
  .string()
  .max(512)
  .regex(pathText, 'expected a path such as database/creds/orders-reader')
  .refine((text) => !ownPaths.test(text), 'expected a path of a secrets engine, not of Vault itself')
const policies = z
  .array(
    z
      .string()
      .regex(policyText, 'expected the lower-case name of a policy')
      .refine((text) => text !== 'root' && text !== 'default', 'expected a policy made for this grant'),
  )
  .min(1)
  .max(16)
const recipe = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('secret'), path, policies }),
  z.strictObject({ kind: z.literal('kv'), path, policies }),
  z.strictObject({ kind: z.literal('token'), policies }),
])

/** What is wrong with a recipe whose placeholders are still unfilled; empty when nothing is. */
export function validateVaultRecipe(raw: JsonObject, grant: { standing: boolean }): SettingProblem[] {
  const parsed = recipe.safeParse(withExampleValues(raw))
  if (!parsed.success) {
    return parsed.error.issues.map(({ path, message }) => ({
      path: path.filter((step) => typeof step !== 'symbol'),
      message,
    }))
  }
  if (parsed.data.kind === 'kv' && !grant.standing) {
    const message =
      'kv hands out a copy of a standing secret, which nothing can revoke: say `standing: true` on the grant'
    return [{ path: ['kind'], message }]
  }
  if (parsed.data.kind !== 'kv' && grant.standing) {
    const message = `kind ${parsed.data.kind} is revoked with its lease: remove \`standing: true\` from the grant`
    return [{ path: ['kind'], message }]
  }
  return []
}

/** A filled recipe. Throws BrokerError `unfillable_recipe` when what came out of filling is not one. */
export function parseVaultRecipe(raw: JsonObject): VaultRecipe {
  const parsed = recipe.safeParse(raw)
  if (!parsed.success) {
    const [first] = parsed.error.issues
    throw new BrokerError('unfillable_recipe', `the recipe's ${first?.path.join('.')}: ${first?.message}`)
  }
  const { kind, policies } = parsed.data
  return { kind, policies, path: kind === 'token' ? null : parsed.data.path }
}

/** A placeholder stands for one whole token, so any token shows whether the text around it can be right. */
function withExampleValues(raw: JsonObject): unknown {
  return JSON.parse(JSON.stringify(raw), (_name, value: unknown) =>
    typeof value === 'string' ? value.replace(placeholder, 'x') : value,
  )
}
