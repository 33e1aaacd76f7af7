import { BrokerError } from '../core/errors.js'

export function auditUnavailable(cause?: unknown): BrokerError {
  return new BrokerError('audit_unavailable', 'the audit cannot be written now, so nothing is issued', {
    retryAfterSeconds: 2,
    ...(cause === undefined ? {} : { cause }),
  })
}
