// What a request asks for, resolved against the catalogue: which grant, which resource, what is declared, for how long.
import type { CredentialRequest } from '../api/credentials.js'
import { BrokerError, type ErrorCode, invalidField } from '../core/errors.js'
import { checkContext, type Declared } from '../grants/catalogue.js'
import type { Grant } from '../grants/grant.js'
import type { Resource } from '../policy/decision.js'
import type { Guarantees, Provider } from '../providers/provider.js'
import type { Parts } from './parts.js'

export interface Asked {
  readonly grant: Grant
  readonly resource: Resource
  readonly declared: Declared
  readonly provider: Provider
  readonly guarantees: Guarantees
  /** min(asked, grant, limits): before the task's deadline and the policies narrow it. */
  readonly ttlSeconds: number
}

/** Throws `unknown_action` and `unknown_resource` (404), `invalid_request` (400) for the declared context and the lifetime. */
export function resolveAsked(parts: Parts, request: CredentialRequest): Asked {
  const { catalogue, limits } = parts.rules()
  const grant = catalogue.resolveGrant(request.action)
  const declared = checkContext(grant, request.context)
  const provider = parts.providers.get(grant.provider)
  if (!provider) throw new BrokerError('internal', `the grant ${grant.action} names a provider that is not there`)
  const guarantees = provider.guarantees(grant.recipe)
  const asked = request.ttl_seconds ?? grant.ttl.defaultSeconds
  if (asked < guarantees.minTtlSeconds) {
    throw invalidField(
      'ttl_seconds',
      `expected at least ${guarantees.minTtlSeconds}, which is what ${grant.provider} can give`,
    )
  }
  const resource = catalogue.resolveResource(request.resource, grant)
  const ttlSeconds = Math.min(asked, grant.ttl.maxSeconds, limits.lease.ttl)
  return { grant, resource, declared, provider, guarantees, ttlSeconds }
}

export interface AskedAtOnce {
  readonly credential: CredentialRequest
  readonly asked: Asked
}

/** Each of several; whatever is refused is named by its place in the list, as `credentials.1.context.branch`. Throws as above. */
export function resolveAllAsked(parts: Parts, credentials: readonly CredentialRequest[]): AskedAtOnce[] {
  return credentials.map((credential, i) => {
    try {
      return { credential, asked: resolveAsked(parts, credential) }
    } catch (error) {
      throw error instanceof BrokerError ? placed(error, `credentials.${i}`) : error
    }
  })
}

const unknownFields: Readonly<Partial<Record<ErrorCode, string>>> = {
  unknown_action: 'action',
  unknown_resource: 'resource',
}

function placed(error: BrokerError, place: string): BrokerError {
  const unknown = unknownFields[error.code]
  const found = error.errors ?? (unknown === undefined ? [] : [{ field: unknown, message: error.detail }])
  const errors = found.map(({ field, message }) => ({ field: `${place}.${field}`, message }))
  const [first] = errors
  return first === undefined ? error : new BrokerError(error.code, `${first.field}: ${first.message}`, { errors })
}
