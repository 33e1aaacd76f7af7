// What Vault's answers mean. The texts are part of the contract: they were seen on real servers, and contract tests hold them.
import { z } from 'zod'
import { ProviderError } from './provider.js'
import type { VaultAnswer } from './vault-transport.js'

const errorBody = z.object({ errors: z.array(z.string()) })
const health = z.object({ initialized: z.boolean(), sealed: z.boolean(), cluster_id: z.string().optional() })
const warned = z.object({ warnings: z.array(z.string()).min(1) })
const accessorData = z.object({ data: z.object({ ttl: z.number(), num_uses: z.number() }) })
const tokenData = z.object({
  data: z.object({
    path: z.string(),
    meta: z.record(z.string(), z.string()).nullish(),
    num_uses: z.number(),
    ttl: z.number(),
    creation_time: z.number(),
  }),
})
const accessorList = z.object({ data: z.object({ keys: z.array(z.string()) }) })
const leaseData = z.object({ data: z.object({ ttl: z.number() }) })

export const tokenAnswer = z.object({
  auth: z.object({
    client_token: z.string().min(1),
    accessor: z.string(),
    policies: z.array(z.string()).nullish(),
    token_policies: z.array(z.string()).nullish(),
    identity_policies: z.array(z.string()).nullish(),
    lease_duration: z.number(),
    renewable: z.boolean(),
    num_uses: z.number(),
    orphan: z.boolean(),
    token_type: z.string(),
  }),
})
export const loginAnswer = z.object({
  auth: z.object({ client_token: z.string().min(1), lease_duration: z.number() }),
})
export const secretAnswer = z.object({
  lease_id: z.string().nullish(),
  lease_duration: z.number(),
  renewable: z.boolean(),
  data: z.record(z.string(), z.unknown()).nullable(),
})
export const renewAnswer = z.object({ lease_id: z.string(), lease_duration: z.number() })

/** 2xx. */
export function isSuccess(answer: VaultAnswer): boolean {
  return answer.status >= 200 && answer.status < 300
}

/** Vault's own complete no. A gateway's 502 to 504 is none: behind it Vault may still be at work. */
export function isRefusal(answer: VaultAnswer): boolean {
  return answer.status >= 400 && answer.status <= 500 && errorBody.safeParse(answer.body).success
}

/** Whether one of the answer's errors contains this text. */
export function says(answer: VaultAnswer, text: string): boolean {
  const parsed = errorBody.safeParse(answer.body)
  return parsed.success && parsed.data.errors.some((error) => error.includes(text))
}

/** The shape asked for, out of a successful answer. Throws ProviderError. */
export function parseAnswer<T>(shape: z.ZodType<T>, answer: VaultAnswer, what: string): T {
  if (!isSuccess(answer)) throw refusal(answer, what)
  const parsed = shape.safeParse(answer.body)
  if (!parsed.success) {
    throw new ProviderError('retryable', `${what}: answered ${answer.status} without the members that Vault gives`)
  }
  return parsed.data
}

// Vault's errors may quote what was sent, so only these phrases are ever repeated.
const knownTexts: readonly [text: string, meaning: string][] = [
  ['permission denied', "permission denied: the caller's Vault policy does not allow it"],
  ['must be subset of', 'the token role does not allow these policies (allowed_policies)'],
  ['unknown role', 'Vault has no such role'],
  ['could not be found', 'Vault has no such role'],
  ['Vault is sealed', 'Vault is sealed'],
  ['namespace not found', 'Vault has no such namespace'],
  ['no handler for route', 'nothing is mounted at this path'],
  ['unsupported path', 'the engine has no such path'],
  ['failed to revoke entry', 'the engine could not end the secret'],
  ['error validating token', 'the login token was not accepted'],
  ['error validating claims', 'the claims of the login token do not fit the role'],
  ['invalid role or secret ID', 'the AppRole credentials are not valid'],
  ['invalid secret id', 'the AppRole credentials are not valid'],
]

/** The error for an answer that is a refusal. Its text holds the status and known phrases alone. */
export function refusal(answer: VaultAnswer, what: string): ProviderError {
  const meaning = knownTexts.find(([text]) => says(answer, text))?.[1]
  const message = `${what}: Vault answered ${answer.status}${meaning === undefined ? '' : ` (${meaning})`}`
  if (answer.status === 502 || answer.status === 503 || answer.status === 504) {
    return new ProviderError('unavailable', message)
  }
  // 403 is retryable: a policy gets repaired, and OpenBao shows an expired login so. 400 covers a database that is down.
  return new ProviderError(answer.status === 404 ? 'permanent' : 'retryable', message)
}

/** Which cluster answers, from sys/health. Throws ProviderError when it is not in service. */
export function parseClusterId(answer: VaultAnswer): string {
  const parsed = health.safeParse(answer.body)
  if (!parsed.success) throw new ProviderError('retryable', 'sys/health: what answers is not a Vault')
  if (!parsed.data.initialized) throw new ProviderError('unavailable', 'Vault is not initialized')
  if (parsed.data.sealed) throw new ProviderError('unavailable', 'Vault is sealed')
  if (!parsed.data.cluster_id) throw new ProviderError('unavailable', 'sys/health: no cluster_id yet')
  return parsed.data.cluster_id
}

/** auth/token/revoke-accessor. 204 ended it now; 200 with a warning: there was none. Anything else throws. */
export function parseAccessorRevocation(answer: VaultAnswer): 'revoked' | 'gone' {
  if (answer.status === 204) return 'revoked'
  if (answer.status === 200) return warned.safeParse(answer.body).success ? 'gone' : 'revoked'
  throw refusal(answer, 'revoking the token')
}

/** auth/token/lookup-accessor: what is left of the token, or `gone`. Throws on anything else. */
export function parseAccessorLookup(answer: VaultAnswer): { ttl: number; numUses: number } | 'gone' {
  if (isInvalid(answer, 'invalid accessor')) return 'gone'
  const { data } = parseAnswer(accessorData, answer, 'looking up the token')
  return { ttl: data.ttl, numUses: data.num_uses }
}

/** auth/token/lookup-accessor of any token: what tells whose it is. Throws on anything else. */
export function parseTokenLookup(answer: VaultAnswer): z.output<typeof tokenData>['data'] {
  return parseAnswer(tokenData, answer, 'looking up a token').data
}

/** The list of auth/token/accessors. Throws on anything else. */
export function parseAccessors(answer: VaultAnswer): string[] {
  return parseAnswer(accessorList, answer, 'listing the accessors').data.keys
}

/** sys/leases/lookup: seconds left (zero or less: its revocation is under way), or `gone`. Throws on anything else. */
export function parseLeaseLookup(answer: VaultAnswer): number | 'gone' {
  if (isInvalid(answer, 'invalid lease')) return 'gone'
  return parseAnswer(leaseData, answer, 'looking up the secret').data.ttl
}

function isInvalid(answer: VaultAnswer, text: string): boolean {
  return answer.status === 400 && says(answer, text)
}
