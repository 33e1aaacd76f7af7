import { BrokerError } from '../core/errors.js'

/** Redis's own failures become `ledger_unavailable` (503); their text, which can quote a command, stays in the cause. */
export async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw ledgerUnavailable(cause)
  }
}

export const ledgerUnavailable = (cause?: unknown) =>
  new BrokerError('ledger_unavailable', 'the ledger cannot be reached', { retryAfterSeconds: 2, cause })
