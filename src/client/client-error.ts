// The one error of the client. Branch on `code`, never on the text. No token and no answer body ever stands in it.
import type { Problem } from '../api/problem.js'

export interface ClientErrorExtras {
  /** HTTP status; 0 when there was no answer. */
  status?: number
  retryAfterSeconds?: number
  /** The broker's problem document, when it answered with one. */
  problem?: Problem
  requestId?: string
  cause?: unknown
}

/**
 * `code` is the broker's own (src/core/errors.ts), or one of the client's: `unavailable` (no answer, or a gateway's),
 * `invalid_answer` (an answer that breaks the contract), `no_subject_token`, `login_failed`,
 * `invalid_configuration`.
 */
export class ClientError extends Error {
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly retryAfterSeconds: number | undefined
  readonly problem: Problem | undefined
  readonly requestId: string | undefined

  constructor(code: string, detail: string, extras: ClientErrorExtras = {}) {
    super(`${code}: ${detail}`, extras.cause === undefined ? undefined : { cause: extras.cause })
    this.name = 'ClientError'
    this.code = code
    this.detail = detail
    this.status = extras.status ?? 0
    this.retryAfterSeconds = extras.retryAfterSeconds
    this.problem = extras.problem
    this.requestId = extras.requestId
  }
}
