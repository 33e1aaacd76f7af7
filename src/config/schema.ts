// The whole file as one zod object, built from the nouns' fragments. hallpass.example.yaml is its contract.
import { z } from 'zod'
import { auditConfig } from '../audit/audit-config.js'
import { Secret } from '../core/secret.js'
import { httpsUrl, isLoopbackHost } from '../core/settings.js'
import { grantsConfig, resourcesConfig } from '../grants/grant-config.js'
import { limitsConfig } from '../grants/limits-config.js'
import { policyChangeConfig } from '../grants/policy-change-config.js'
import { proxyConfig } from '../identity/certificate-config.js'
import { dpopConfig } from '../identity/dpop-config.js'
import { issuersConfig } from '../identity/issuer-config.js'
import { ownDueIndexes } from '../ledger/keys.js'
import { redisConfig } from '../ledger/redis-config.js'
import { groupsConfig } from '../policy/groups.js'
import { awsStsConfig } from '../providers/aws-sts-config.js'
import { signedJwtConfig } from '../providers/signed-jwt-config.js'
import { vaultConfig } from '../providers/vault-config.js'
import { webhookConfig } from '../queue/webhook-config.js'
import { keysConfig } from '../signing/signing-config.js'

export interface Address {
  readonly host: string
  readonly port: number
}

const address = z
  .string()
  .regex(
    /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$/,
    'expected host:port such as 127.0.0.1:8700, or a mapping of workloads, operators and metrics to such',
  )
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'expected a port up to 65535')
  .transform((text): Address => {
    const colon = text.lastIndexOf(':')
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
  })

/** Without an address of their own operators come in where workloads do; without one there are no metrics outside. */
const listen = z.union([
  address.transform((workloads) => ({ workloads, operators: null, metrics: null, worker: null })),
  z
    .strictObject({
      workloads: address,
      operators: address.optional(),
      metrics: address.optional(),
      worker: address.optional(),
    })
    .transform(({ workloads, operators, metrics, worker }) => ({
      workloads,
      operators: operators ?? null,
      metrics: metrics ?? null,
      worker: worker ?? null,
    })),
])

const tls = z.strictObject({
  certificate: z.string().includes('-----BEGIN CERTIFICATE-----', { error: 'expected certificates in PEM form' }),
  key: z
    .string()
    .includes('PRIVATE KEY-----', { error: 'expected a private key in PEM form' })
    .transform((text) => new Secret(text)),
  /** Workloads may come with an X.509-SVID instead of a token. */
  client_certificates: z.boolean().default(false),
})

/** Paths are appended to it and it is compared as text, so it ends without a slash. */
const issuer = httpsUrl.refine((text) => !/[/?]$|\?/.test(text), 'expected a URL without a query or a last slash')

const providerConfig = z.discriminatedUnion('type', [vaultConfig, awsStsConfig, signedJwtConfig])
const providerName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'expected a provider name: a-z, then a-z, 0-9, _ and -')
  .refine(
    (name) => !ownDueIndexes.includes(name),
    `expected another name: ${ownDueIndexes.join(', ')} are the ledger's own`,
  )

export const settingsSchema = z.strictObject({
  issuer,
  listen: listen.prefault('127.0.0.1:8700'),
  tls: tls.optional(),
  behind_proxy: z.boolean().default(false),
  proxy: proxyConfig.optional(),
  dpop: dpopConfig,
  redis: redisConfig,
  keys: keysConfig,
  audit: auditConfig,
  policies: z.string().min(1),
  issuers: issuersConfig.refine((issuers) => Object.keys(issuers).length > 0, 'expected at least one issuer'),
  groups: groupsConfig,
  resources: resourcesConfig,
  grants: grantsConfig,
  providers: z.record(providerName, providerConfig),
  limits: limitsConfig,
  approvals: z.strictObject({ webhook: webhookConfig.optional() }).prefault({}),
  policy_change: policyChangeConfig,
})

export type Settings = z.output<typeof settingsSchema>
export type ProviderConfig = z.output<typeof providerConfig>

/** Whether an address can only be reached from this machine. */
export function isLoopback({ host }: Address): boolean {
  return isLoopbackHost(host)
}
