// Subject token → Principal. The only reader of unverified claims, and for one thing: to choose the issuer whose keys and
// rules then decide. Nothing that a token says makes it ask the network for an issuer that is not configured.
import { nameRefusals } from './checks.js'
import type { Issuer } from './issuer.js'
import { type IssuerEvents, reasonOf, unwatched } from './issuer-sight.js'
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
export function createIssuerPool(
  issuers: readonly Issuer[],
  deps: { readonly ourIssuer: string; readonly events?: IssuerEvents },
): IssuerPool {
  const { ourIssuer, events = unwatched } = deps
  const remembered = createRememberedTokens()
  return {
    issuers,
    async authenticate(tokenText, presented = {}) {
      const known = await remembered.find(tokenText, presented)
      if (known !== null) return known
      const { token, issuer } = noteUnchosen(events, () => chooseFor(tokenText, issuers, ourIssuer))
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

function noteUnchosen<T>(events: IssuerEvents, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const reason = reasonOf(error)
    if (reason !== null) events.refused('none', reason)
    throw error
  }
}

function chooseFor(text: string, issuers: readonly Issuer[], ourIssuer: string) {
  const token = nameRefusals('form', () => parseRawToken(text))
  nameRefusals('own_token', () => checkNotOwn(token, ourIssuer))
  return { token, issuer: nameRefusals('issuer', () => chooseIssuer(issuers, token)) }
}

/** Throws `invalid_token` for what Hallpass signed. */
export function checkNotOwn({ payload: { iss } }: RawToken, ourIssuer: string): void {
  if (iss === undefined || !ownIssuers(ourIssuer).includes(iss)) return
  throw refusedToken('a token signed by Hallpass itself is not a subject token')
}

/** The one issuer whose keys and rules decide. Throws `invalid_token` when none or several fit. */
export function chooseIssuer(issuers: readonly Issuer[], token: RawToken): Issuer {
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
