// Why a token was refused, by the name of the check that did: for the metrics and for `hallpass token explain`.
import { BrokerError } from '../core/errors.js'

/** In the order in which they are made. A closed set: it labels a metric. */
export type CheckName =
  | 'form'
  | 'own_token'
  | 'issuer'
  | 'subject'
  | 'algorithm'
  | 'type'
  | 'audience'
  | 'expiry'
  | 'not_before'
  | 'issued_at'
  | 'max_age'
  | 'binding'
  | 'event'
  | 'key'
  | 'signature'
  | 'preset'
  | 'require'
  | 'principal'

/** A 401 that knows which check made it, once it has passed through one. */
export class TokenRefusal extends BrokerError {
  #check: CheckName | null = null

  /** The innermost check that it came from, or null. */
  get check(): CheckName | null {
    return this.#check
  }

  /** The first name stays. */
  nameCheck(name: CheckName): void {
    this.#check ??= name
  }
}
