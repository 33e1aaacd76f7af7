// What a script may branch on (docs/commands.md, "Exit codes").
import { ClientError } from '../client/index.js'
import { BrokerError } from '../core/errors.js'
import { NotApproved } from './not-approved.js'

export const exitCodes = {
  done: 0,
  other: 1,
  usage: 2,
  notAuthenticated: 3,
  denied: 4,
  approvalWanting: 5,
  unavailable: 6,
  revocationFailed: 7,
  /** `exec` alone: its own failure, so that every other code is its command's. */
  execFailed: 125,
} as const

/** What was typed cannot be meant. Nothing was asked of the broker. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage
  if (error instanceof NotApproved) return exitCodes.denied
  // On a broker's host: what the wire would answer 400.
  if (error instanceof BrokerError && error.code === 'invalid_request') return exitCodes.usage
  if (!(error instanceof ClientError)) return exitCodes.other
  if (error.code === 'invalid_configuration' || error.code === 'invalid_request') return exitCodes.usage
  if (error.code === 'no_subject_token' || error.code === 'login_failed' || error.status === 401)
    return exitCodes.notAuthenticated
  if (error.code === 'approval_required') return exitCodes.approvalWanting
  if (error.status === 403) return exitCodes.denied
  if (isUnavailable(error)) return exitCodes.unavailable
  return exitCodes.other
}

/** No answer, or one that says that the broker or something behind it is down: worth another try later. */
export function isUnavailable(error: unknown): error is ClientError {
  return error instanceof ClientError && (error.code === 'unavailable' || [502, 503, 504].includes(error.status))
}
