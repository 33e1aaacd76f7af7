// A decision rests on all that session and account hold and were granted, and the audit keeps it whole (I10). Where that is more
// than one record takes, nothing is let out, and a denial is written down without it.
import { BrokerError } from '../core/errors.js'

/** What the audit throws for a record that is too long; nothing of it was written. */
export const isTooLong = (error: unknown): boolean => error instanceof RangeError

export const tooMuchToRecord = () =>
  new BrokerError(
    'quota',
    'what this session and account hold and were granted is more than one audit record takes; limits.account.memory says how long it is remembered',
    { retryAfterSeconds: 3600 },
  )

/** The error to throw in place of one that says so. */
export const asQuota = (error: unknown): unknown => (isTooLong(error) ? tooMuchToRecord() : error)
