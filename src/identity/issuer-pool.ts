// Subject token → Principal. The only reader of unverified claims, and for one thing: to choose the issuer whose keys and
// rules then decide. Nothing that a token says makes it ask the network for an issuer that is not configured.
import type { Issuer } from './issuer.js'
import { bindPrincipal, type PresentedKeys } from './presented-keys.js'
import type { Principal } from './principal.js'
import { parseRawToken, quoted, type RawToken, refusedToken } from './raw-token.js'
import { createRememberedTokens } from './remembered-tokens.js'

export interface IssuerPool {
  readonly issuers: readonly Issuer[]
  /**
   * `presented`: the keys that the caller proved with this request. Throws BrokerError `invalid_token` (401) or
   * `issuer_unavailable` (503). A principal with `tokenUse` has yet to be claimed.
   */
  authenticate(tokenText: string, presented?: PresentedKeys): Promise<Principal>
  /** Ends what the issuers keep open. Known keys go on serving until they are stale. */
  close(): void
}

/** `ourIssuer` is Hallpass's own `issuer`: what we signed identifies nobody to us. */
export function createIssuerPool(issuers: readonly Issuer[], deps: { readonly ourIssuer: string }): IssuerPool {
  const own = ownIssuers(deps.ourIssuer)
  const remembered = createRememberedTokens()
  return {
    issuers,
    async authenticate(tokenText, presented = {}) {
      const known = await remembered.find(tokenText, presented)
      if (known !== null) return known
      const token = parseRawToken(tokenText)
      if (token.payload.iss !== undefined && own.includes(token.payload.iss)) {
        throw refusedToken('a token signed by Hallpass itself is not a subject token')
      }
      const issuer = chooseIssuer(issuers, token)
      const verified = await issuer.authenticate(token, presented)
      remembered.add(token, issuer, verified)
      return bindPrincipal(verified.principal, verified.vouched, presented)
    },
    close() {
      for (const issuer of issuers) issuer.close?.()
    },
  }
}

/** The `iss` values that Hallpass signs with; none of them may be a configured issuer. */
export function ownIssuers(ourIssuer: string): readonly string[] {
  return [ourIssuer, `${ourIssuer}/federation`]
}

function chooseIssuer(issuers: readonly Issuer[], token: RawToken): Issuer {
  const matching = issuers.filter((issuer) => issuer.matches(token))
  const [chosen] = matching
  if (matching.length > 1) {
    // Whose rules count must not depend on the order in a file.
    const names = matching.map(({ name }) => name).join(' and ')
    throw refusedToken(`the token fits the issuers ${names}: present one with an audience of one of them alone`)
  }
  if (chosen !== undefined) return chosen
  const { iss, sub, aud } = token.payload
  const from = iss === undefined ? `sub ${quoted(sub)}` : `iss ${quoted(iss)}`
  throw refusedToken(`no configured issuer takes tokens with ${from} and aud ${quoted(aud)}`)
}
