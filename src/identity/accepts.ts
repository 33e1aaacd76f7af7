// What an issuer takes, as a value that `doctor` and `token explain` can show: made of the very rules that are enforced.
import type { Requirement } from './claims.js'

/** By what a token is this issuer's. */
export type TokenOrigin = { readonly iss: string } | { readonly trustDomain: string }

export interface AcceptedTokens {
  readonly origin: TokenOrigin
  readonly audiences: readonly string[]
  readonly algorithms: readonly string[]
  readonly types: readonly string[]
  readonly require: Readonly<Record<string, Requirement>>
  /** Attributes that make the account and the instance; null: `sub`, and none. */
  readonly account: readonly string[] | null
  readonly instance: readonly string[] | null
  readonly sessionSeconds: number
  readonly leewaySeconds: number
  readonly maxAgeSeconds: number | null
}

export function acceptedBy(
  rules: Omit<AcceptedTokens, 'origin' | 'require'>,
  origin: TokenOrigin,
  require: AcceptedTokens['require'],
): AcceptedTokens {
  const { audiences, algorithms, types, account, instance, sessionSeconds, leewaySeconds, maxAgeSeconds } = rules
  return {
    origin,
    audiences,
    algorithms,
    types,
    require,
    account,
    instance,
    sessionSeconds,
    leewaySeconds,
    maxAgeSeconds,
  }
}
