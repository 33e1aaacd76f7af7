import { BrokerError } from '../core/errors.js'

/** Redis's own failures become `ledger_unavailable` (503); their text, which can quote a command, stays in the cause. */
export async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw ledgerUnavailable(cause)
  }
}

/** The 503 while Redis does not answer. */
export const ledgerUnavailable = (cause?: unknown) =>
  new BrokerError('ledger_unavailable', 'the ledger cannot be reached', { retryAfterSeconds: 2, cause })

/** The 503 while Redis is not known to have all that was written to it. `retryAfterSeconds`: when to ask again. */
export const rolledBack = (retryAfterSeconds: number) =>
  new BrokerError('rolled_back', 'the ledger is not as this broker left it; see /readyz, and hallpass recover', {
    retryAfterSeconds,
  })
