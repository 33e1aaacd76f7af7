// What a request asks for, resolved against the catalogue: which grant, which resource, what is declared, for how long.
import type { CredentialRequest } from '../api/credentials.js'
import { BrokerError, type ErrorCode, invalidField } from '../core/errors.js'
import { checkContext, type Declared } from '../grants/catalogue.js'
import type { Grant } from '../grants/grant.js'
import type { Resource } from '../policy/decision.js'
import type { Guarantees, Provider } from '../providers/provider.js'
import type { Parts } from './parts.js'

export interface ResolvedRequest {
  readonly grant: Grant
  readonly resource: Resource
  readonly declared: Declared
  readonly provider: Provider
  readonly guarantees: Guarantees
  /** min(asked, grant, limits): before the task's deadline and the policies narrow it. */
  readonly ttlSeconds: number
}

/** Throws `unknown_action` and `unknown_resource` (404), `invalid_request` (400) for the declared context and the lifetime. */
export function resolveRequest(parts: Parts, request: CredentialRequest): ResolvedRequest {
  const { catalogue, limits } = parts.rules()
  const grant = catalogue.resolveGrant(request.action)
  const declared = checkContext(grant, request.context)
  const provider = parts.providers.get(grant.provider)
  if (!provider) throw new BrokerError('internal', `the grant ${grant.action} names a provider that is not there`)
  const guarantees = provider.guarantees(grant.recipe)
  const ttlAsked = request.ttl_seconds ?? grant.ttl.defaultSeconds
  if (ttlAsked < guarantees.minTtlSeconds) {
    throw invalidField(
      'ttl_seconds',
      `expected at least ${guarantees.minTtlSeconds}, which is what ${grant.provider} can give`,
    )
  }
  const resource = catalogue.resolveResource(request.resource, grant)
  const ttlSeconds = Math.min(ttlAsked, grant.ttl.maxSeconds, limits.lease.ttl)
  return { grant, resource, declared, provider, guarantees, ttlSeconds }
}

export interface RequestedCredential {
  readonly credential: CredentialRequest
  readonly resolved: ResolvedRequest
}

/** Each of several that are asked for at once. Throws as above, naming the field with its place: `credentials.1.context.branch`. */
export function resolveRequests(parts: Parts, requests: readonly CredentialRequest[]): RequestedCredential[] {
  return requests.map((credential, i) => {
    try {
      return { credential, resolved: resolveRequest(parts, credential) }
    } catch (error) {
      throw error instanceof BrokerError ? placed(error, `credentials.${i}`) : error
    }
  })
}

/** Which member of a request is at fault where the error names none. */
const fieldOf: Readonly<Partial<Record<ErrorCode, string>>> = { unknown_action: 'action', unknown_resource: 'resource' }

function placed(error: BrokerError, place: string): BrokerError {
  const { code, detail, members } = error
  const named = fieldOf[code]
  const own = error.errors ?? (named === undefined ? [] : [{ field: named, message: detail }])
  const errors = own.map(({ field, message }) => ({ field: `${place}.${field}`, message }))
  const [first] = errors
  return first === undefined ? error : new BrokerError(code, `${first.field}: ${first.message}`, { errors, members })
}
