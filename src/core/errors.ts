// The one error class of the broker. `code` is the wire value; http/problem.ts maps it to a status.
// `detail` may reach the caller: it never holds a secret, a token or an upstream's words. `cause` goes to the log alone.

export type ErrorCode =
  | 'invalid_request'
  | 'too_large'
  | 'unsupported_media_type'
  | 'invalid_token'
  | 'use_dpop_nonce'
  | 'denied'
  | 'locked'
  | 'approval_required'
  | 'binding_required'
  | 'not_permitted'
  | 'not_found'
  | 'unknown_action'
  | 'unknown_resource'
  | 'already_issued'
  | 'task_closed'
  | 'stale_rules'
  | 'idempotency_mismatch'
  | 'unfillable_recipe'
  | 'quota'
  | 'rate'
  | 'provider_failed'
  | 'ledger_unavailable'
  | 'audit_unavailable'
  | 'issuer_unavailable'
  | 'provider_unavailable'
  | 'clock'
  | 'no_worker'
  | 'rolled_back'
  | 'busy'
  | 'internal'

export interface FieldError {
  field: string
  message: string
}

export interface ErrorExtras {
  /** Which fields of the request were wrong, for `invalid_request`. */
  errors?: FieldError[]
  retryAfterSeconds?: number
  /** Members added to the problem document as they are: `reason`, `decision`, `principal`, `lease`, ... Never secrets. */
  members?: Record<string, unknown>
  /** Response headers that belong to it, such as a challenge. Never secrets. */
  headers?: Readonly<Record<string, string>>
  cause?: unknown
}

export class BrokerError extends Error {
  readonly code: ErrorCode
  readonly detail: string
  readonly errors: FieldError[] | undefined
  readonly retryAfterSeconds: number | undefined
  readonly members: Record<string, unknown>
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, detail: string, extras: ErrorExtras = {}) {
    super(`${code}: ${detail}`, extras.cause === undefined ? undefined : { cause: extras.cause })
    this.name = 'BrokerError'
    this.code = code
    this.detail = detail
    this.errors = extras.errors
    this.retryAfterSeconds = extras.retryAfterSeconds
    this.members = extras.members ?? {}
    this.headers = extras.headers ?? {}
  }
}

/** A 400 for one field. `field` is a path in the request, such as `context.branch`. */
export function invalidField(field: string, message: string): BrokerError {
  return new BrokerError('invalid_request', `${field}: ${message}`, { errors: [{ field, message }] })
}
