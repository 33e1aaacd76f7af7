// From whatever an AWS client throws to a ProviderError. Only the service's error code, status and request id pass: its
// messages repeat policies, ARNs and tokens, and the SDK's errors carry the whole response.
import { ProviderError } from './provider.js'

// Codes without the suffix `Exception`, which some of AWS's serialisations add.
const tryAgain = new Set([
  'Throttling',
  'TooManyRequests',
  'RequestLimitExceeded',
  'RequestThrottled',
  'InternalFailure',
  'InternalServerError',
  'ServiceFailure',
  'IDPCommunicationError',
  'ConcurrentModification',
  'EntityTemporarilyUnmodifiable',
  // The deny policy is full; entries end by themselves and make room.
  'LimitExceeded',
])

const hints: Readonly<Record<string, string>> = {
  AccessDenied: 'check the trust policy of the role and the permissions of the caller (`hallpass provider setup`)',
  InvalidIdentityToken: 'the federation issuer is not (or no longer) known to IAM, or its keys cannot be fetched',
  IDPRejectedClaim: 'IAM refused a claim of the federation token: audience, subject or clock',
  ExpiredToken: 'a token was expired when it arrived: compare the clocks',
  PackedPolicyTooLarge: 'session policy and tags are too large together: shorten the session policy',
  NoSuchEntity: 'the role does not exist',
  ValidationError: 'a value was refused; most often the lifetime is beyond the maximum session duration of the role',
  CredentialsProviderError: 'the default credential chain found no credentials',
  LimitExceeded: 'the inline policies of the role are full',
}

/** A time-out of ours, told apart from what a client throws. */
export class CallTimeout extends Error {}

/** `doing` names the call, such as `STS AssumeRole`. */
export function toProviderError(error: unknown, doing: string): ProviderError {
  if (error instanceof ProviderError) return error
  if (error instanceof CallTimeout) return new ProviderError('unavailable', `${doing}: no answer in time`)
  const { name, status, requestId, systemCode } = describe(error)
  if (systemCode !== undefined) return new ProviderError('unavailable', `${doing}: not reachable (${systemCode})`)
  const answered = [name, status === undefined ? '' : `HTTP ${status}`, requestId ? `request ${requestId}` : '']
  const hint = hints[name] === undefined ? '' : `: ${hints[name]}`
  return new ProviderError(kindOf(name, status), `${doing}: ${answered.filter(Boolean).join(', ')}${hint}`)
}

function kindOf(name: string, status: number | undefined): ProviderError['kind'] {
  if (name === 'CredentialsProviderError' || name === 'TimeoutError' || name === 'AbortError') return 'unavailable'
  if (tryAgain.has(name) || status === 429) return 'retryable'
  if (status === 503) return 'unavailable'
  // A refusal is final; an answer that could not be read, and any 5xx, says nothing about the next call.
  return status !== undefined && status >= 400 && status < 500 ? 'permanent' : 'retryable'
}

interface Described {
  name: string
  status: number | undefined
  requestId: string | undefined
  systemCode: string | undefined
}

function describe(error: unknown): Described {
  const thrown = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>
  const metadata = (
    typeof thrown.$metadata === 'object' && thrown.$metadata !== null ? thrown.$metadata : {}
  ) as Record<string, unknown>
  const status = typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined
  const requestId = plain(metadata.requestId, /^[A-Za-z0-9-]{1,64}$/)
  // What Node's sockets throw has a code such as ECONNREFUSED and never reached an answer.
  const systemCode = status === undefined ? plain(thrown.code, /^(E[A-Z_]{2,30}|[A-Z]+_[A-Z_]{2,40})$/) : undefined
  const name = plain(thrown.name, /^[A-Za-z0-9.]{1,64}$/)?.replace(/Exception$/, '') ?? 'unreadable answer'
  return { name, status, requestId, systemCode }
}

/** The upstream chooses these texts, so they pass only in the form that they should have. */
function plain(value: unknown, form: RegExp): string | undefined {
  return typeof value === 'string' && form.test(value) ? value : undefined
}
