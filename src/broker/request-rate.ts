// How many requests an account may make per minute, counted in the ledger so that all brokers count together.
import { BrokerError } from '../core/errors.js'
import type { Holder } from '../ledger/task.js'
import type { Parts } from './parts.js'

/** Counts one request of the account among the holders. Throws `rate` (429), `ledger_unavailable`. */
export async function countRequest(parts: Parts, holders: readonly Holder[]): Promise<void> {
  const account = holders.find((holder) => holder.kind === 'account')
  if (!account) throw new BrokerError('internal', 'a task without an account')
  const wait = await parts.ledger.countRequest(account.id, parts.rules().limits.account.requests_per_minute)
  if (wait !== null) throw rateExceeded(wait)
}

export const rateExceeded = (retryAfterSeconds: number) =>
  new BrokerError('rate', 'limits.account.requests_per_minute is reached for this account', { retryAfterSeconds })
