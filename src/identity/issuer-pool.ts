// Subject token → Principal. The only reader of unverified claims, and for one thing: to choose the issuer whose keys and
// rules then decide. Nothing that a token says makes it ask the network for an issuer that is not configured.
import { BrokerError } from '../core/errors.js'
import { nameRefusals } from './checks.js'
import type { Issuer, SvidVerifier } from './issuer.js'
import { type IssuerEvents, reasonOf, unwatched } from './issuer-monitor.js'
import { bindPrincipal, type PresentedKeys } from './presented-keys.js'
import type { Principal } from './principal.js'
import { parseRawToken, quoted, type RawToken, refusedToken } from './raw-token.js'
import { createRememberedTokens } from './remembered-tokens.js'
import { type PresentedCertificate, readSvidId } from './x509-svid.js'

export interface IssuerPool {
  readonly issuers: readonly Issuer[]
  /**
   * `presented`: the keys that the caller proved with this request. Throws BrokerError `invalid_token` (401) or
   * `issuer_unavailable` (503). A principal with `tokenUse` has yet to be claimed.
   */
  authenticate(tokenText: string, presented?: PresentedKeys): Promise<Principal>
  /** Who an X.509-SVID speaks for, by the trust domain's bundle as it is now. Throws as `authenticate` does. */
  authenticateSvid(presented: PresentedCertificate): Promise<Principal>
  /** A token's principal, bound by `mtls` where the certificate beside the token is a valid SVID of that very principal. */
  bindSvid(principal: Principal, presented: PresentedCertificate): Promise<Principal>
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
    authenticateSvid: (presented) => authenticateSvid(issuers, presented, events),
    async bindSvid(principal, presented) {
      const own = issuers.find(({ name }) => name === principal.issuer)?.svids
      if (principal.binding !== 'none' || own === undefined) return principal
      const isBound = await isOwnSvid(own, principal, presented)
      return isBound ? { ...principal, binding: 'mtls', x5t: presented.x5t } : principal
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

async function authenticateSvid(
  issuers: readonly Issuer[],
  presented: PresentedCertificate,
  events: IssuerEvents,
): Promise<Principal> {
  const { name, svids } = noteUnchosen(events, () => chooseSvids(issuers, presented))
  try {
    return await svids.authenticate(presented)
  } catch (error) {
    const reason = reasonOf(error)
    if (reason !== null) events.refused(name, reason)
    throw error
  }
}

function chooseSvids(issuers: readonly Issuer[], presented: PresentedCertificate) {
  const { trustDomain } = readSvidId(presented)
  const [only, ...others] = issuers.flatMap(({ name, svids }) =>
    svids?.trustDomain === trustDomain ? [{ name, svids }] : [],
  )
  if (only === undefined) {
    throw refusedToken(`no configured issuer takes certificates of this trust domain (${quoted(trustDomain)})`)
  }
  // A certificate names no audience: whose rules count must not depend on the order in a file.
  if (others.length > 0) {
    throw refusedToken(`several issuers have the trust domain of the client certificate (${quoted(trustDomain)})`)
  }
  return only
}

/** What another's proxy or mesh shows beside a token is no reason to refuse the token: it only binds nothing. */
async function isOwnSvid(svids: SvidVerifier, { subject }: Principal, presented: PresentedCertificate) {
  try {
    return (await svids.authenticate(presented)).subject === subject
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'invalid_token') return false
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
