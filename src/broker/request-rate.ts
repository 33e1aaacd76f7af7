// limits.account.requests_per_minute: each request that asks for something, and each that is refused, counts once, by whichever
// step comes to it first. A look counts in its own round trip; a refusal before it takes one of its own.
import { BrokerError } from '../core/errors.js'
import { holderId } from '../ledger/keys.js'
import type { Caller, Parts } from './parts.js'

/** Which holder a ledger's script counts for, and how much it may. */
export interface AccountRate {
  readonly account: string
  readonly perMinute: number
}

/** The caller of what counts as one request, however many steps of it would count. */
export const asOneRequest = (caller: Caller): Caller =>
  caller.rate === undefined ? { ...caller, rate: { isCounted: false } } : caller

/** For the script that counts in the same step: from here on the request is counted. Null: it was before. */
export function rateToCount(parts: Parts, { principal, rate }: Caller): AccountRate | null {
  if (rate?.isCounted === true) return null
  if (rate !== undefined) rate.isCounted = true
  return {
    account: holderId('account', principal.account),
    perMinute: parts.rules().limits.account.requests_per_minute,
  }
}

/** Counts the request unless it was counted already. Throws `rate`, `ledger_unavailable`. */
export async function countRequest(parts: Parts, caller: Caller): Promise<void> {
  const rate = rateToCount(parts, caller)
  const wait = rate === null ? null : await parts.ledger.countRequest(rate.account, rate.perMinute)
  if (wait !== null) throw rateExceeded(wait)
}

/** The 429 of an account that asks too often. */
export const rateExceeded = (retryAfterSeconds: number) =>
  new BrokerError('rate', 'limits.account.requests_per_minute is reached for this account', { retryAfterSeconds })
