import { BrokerError } from '../core/errors.js'

/** The 503 while the audit's disk takes nothing: without a record nothing is issued (I2). */
export function auditUnavailable(cause?: unknown): BrokerError {
  return new BrokerError('audit_unavailable', 'the audit cannot be written now, so nothing is issued', {
    retryAfterSeconds: 2,
    ...(cause === undefined ? {} : { cause }),
  })
}
