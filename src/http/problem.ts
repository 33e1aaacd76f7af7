// The one place where an error code becomes a status. The compiler refuses a code without one.
import type { ServerResponse } from 'node:http'
import { BrokerError, type ErrorCode } from '../core/errors.js'
import { type ServerEvent, writeEvents } from './event-stream.js'

interface Meaning {
  readonly status: number
  readonly title: string
  /** What the OAuth faces say instead (RFC 6749 section 5.2, RFC 8693 section 2.2.2). */
  readonly oauthError: string
}

const meanings: Record<ErrorCode, Meaning> = {
  invalid_request: { status: 400, title: 'The request is not well formed', oauthError: 'invalid_request' },
  too_large: { status: 413, title: 'The request is too large', oauthError: 'invalid_request' },
  unsupported_media_type: { status: 415, title: 'The content type is not supported', oauthError: 'invalid_request' },
  invalid_token: { status: 401, title: 'The token was refused', oauthError: 'invalid_token' },
  use_dpop_nonce: { status: 401, title: 'A DPoP nonce is required', oauthError: 'use_dpop_nonce' },
  denied: { status: 403, title: 'Denied by policy', oauthError: 'invalid_target' },
  locked: { status: 403, title: 'Locked by an operator', oauthError: 'invalid_target' },
  approval_required: { status: 403, title: 'An approval is required', oauthError: 'invalid_target' },
  binding_required: { status: 403, title: 'A key-bound token is required', oauthError: 'invalid_target' },
  not_permitted: { status: 403, title: 'Not permitted', oauthError: 'unauthorized_client' },
  not_found: { status: 404, title: 'Not found', oauthError: 'invalid_request' },
  unknown_action: { status: 404, title: 'Unknown action', oauthError: 'invalid_scope' },
  unknown_resource: { status: 404, title: 'Unknown resource', oauthError: 'invalid_target' },
  already_issued: { status: 409, title: 'Already issued', oauthError: 'invalid_request' },
  task_closed: { status: 409, title: 'The task has ended', oauthError: 'invalid_request' },
  stale_rules: { status: 409, title: 'Not the rules that wait', oauthError: 'invalid_request' },
  idempotency_mismatch: { status: 422, title: 'Idempotency-Key mismatch', oauthError: 'invalid_request' },
  unfillable_recipe: { status: 422, title: 'The recipe cannot be filled', oauthError: 'invalid_target' },
  quota: { status: 429, title: 'A limit is reached', oauthError: 'temporarily_unavailable' },
  rate: { status: 429, title: 'Too many requests', oauthError: 'temporarily_unavailable' },
  provider_failed: { status: 502, title: 'The provider failed', oauthError: 'server_error' },
  ledger_unavailable: { status: 503, title: 'The ledger is unavailable', oauthError: 'temporarily_unavailable' },
  audit_unavailable: { status: 503, title: 'The audit is unavailable', oauthError: 'temporarily_unavailable' },
  issuer_unavailable: { status: 503, title: 'The issuer is unavailable', oauthError: 'temporarily_unavailable' },
  provider_unavailable: { status: 503, title: 'The provider is unavailable', oauthError: 'temporarily_unavailable' },
  clock: { status: 503, title: 'The clocks are apart', oauthError: 'temporarily_unavailable' },
  no_worker: { status: 503, title: 'No worker is running', oauthError: 'temporarily_unavailable' },
  rolled_back: { status: 503, title: 'The ledger was rolled back', oauthError: 'temporarily_unavailable' },
  busy: { status: 503, title: 'Too busy', oauthError: 'temporarily_unavailable' },
  internal: { status: 500, title: 'Internal error', oauthError: 'server_error' },
}

/** Whether the caller was refused (4xx), and not failed by us or by what stands behind us. */
export const isCallersFault = ({ code }: BrokerError): boolean => meanings[code].status < 500

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly type?: string
  /** Instead of a body: events, until they end or the caller is gone. */
  readonly events?: (gone: AbortSignal) => AsyncIterable<ServerEvent>
}

/** Anything that is not a BrokerError, or says `internal`, is a bare 500: its text goes to the log alone. */
export function problemAnswer(error: unknown): Answer {
  if (!(error instanceof BrokerError) || error.code === 'internal') {
    const { status, title } = meanings.internal
    return {
      status,
      type: 'application/problem+json',
      body: { type: 'about:blank', title, status, code: 'internal', detail: 'internal error' },
    }
  }
  const { status, title } = meanings[error.code]
  return {
    status,
    type: 'application/problem+json',
    headers: problemHeaders(error, status),
    body: {
      type: 'about:blank',
      title,
      status,
      code: error.code,
      detail: error.detail,
      ...(error.errors ? { errors: error.errors } : {}),
      ...error.members,
    },
  }
}

/** What says nothing of its own; a 429 without it would be asked again at once by many a client. */
const defaultRetryAfter: Readonly<Record<number, number>> = { 429: 60, 503: 5 }

function problemHeaders(error: BrokerError, status: number): Record<string, string> {
  const headers: Record<string, string> = {}
  const retryAfter = error.retryAfterSeconds ?? defaultRetryAfter[status]
  if (retryAfter !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfter)))
  // What is left of an over-long body is not read: the connection ends with the answer.
  if (status === 413) headers.connection = 'close'
  // RFC 6750 section 3.
  if (status === 401) headers['www-authenticate'] = 'Bearer error="invalid_token"'
  return { ...headers, ...error.headers }
}

/** The same failure as an OAuth endpoint says it (RFC 6749 section 5.2, RFC 7662 section 2.3). */
export function oauthErrorAnswer(error: unknown): Answer {
  const known = error instanceof BrokerError && error.code !== 'internal' ? error : null
  const meaning = known ? meanings[known.code] : meanings.internal
  // Whatever cannot be read is `invalid_request`, and that is a 400 (RFC 6749 section 5.2), also a body that is JSON.
  const status = known?.code === 'unsupported_media_type' ? 400 : meaning.status
  return {
    status,
    ...(known ? { headers: { ...problemHeaders(known, status), 'cache-control': 'no-store' } } : {}),
    body: { error: meaning.oauthError, error_description: known?.detail ?? 'internal error' },
  }
}

/** Writes an answer; everything that may hold a secret must not be kept by anybody on the way. */
export function writeAnswer(response: ServerResponse, answer: Answer, requestId: string): void {
  if (answer.events) {
    const headers = { 'x-request-id': requestId, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }
    void writeEvents(response, { ...headers, ...answer.headers }, answer.events)
    return
  }
  const body =
    answer.body === undefined ? '' : typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
  response.writeHead(answer.status, {
    'x-request-id': requestId,
    'content-type': answer.type ?? 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    ...answer.headers,
  })
  response.end(body)
}
