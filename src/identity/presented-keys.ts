// Which key a token belongs to, by its issuer's word, against the keys that this very request has proven. What was proven
// by another request never counts: a remembered token is bound anew each time it is shown.
import { type AudienceRules, boundAudienceKeys } from './audience.js'
import type { Principal } from './principal.js'
import { type RawToken, refusedToken } from './raw-token.js'

/** Keys that the caller proved to hold with this request; none unless told. Whoever reads the request makes it. */
export interface PresentedKeys {
  /** RFC 7638 thumbprint of the key that signed the DPoP proof. */
  readonly jkt?: string
  /** RFC 8705 thumbprint of the client certificate. */
  readonly x5t?: string
}

/** Keys that the issuer ties the token to: every one of them has to be proven. */
export interface VouchedKeys {
  readonly jkt: string | null
  readonly x5t: string | null
}

const thumbprint = /^[A-Za-z0-9_-]{43}$/

/**
 * Reads `cnf` (RFC 7800) and, for an issuer with `bind: audience`, the thumbprint in an audience. Throws `invalid_token` for a
 * confirmation that is not understood: it would be a bound token taken as a free one.
 */
export function vouchedKeysOf(token: RawToken, rules: AudienceRules): VouchedKeys {
  const confirmed = confirmationIn(token)
  const [named = null, ...others] = boundAudienceKeys(token.payload.aud, rules)
  if (others.length > 0 || (named !== null && confirmed.jkt !== null && named !== confirmed.jkt)) {
    throw refusedToken('the token is bound to several keys ("aud", "cnf")')
  }
  return { jkt: confirmed.jkt ?? named, x5t: confirmed.x5t }
}

function confirmationIn(token: RawToken): VouchedKeys {
  if (!Object.hasOwn(token.claims, 'cnf')) return { jkt: null, x5t: null }
  const { cnf } = token.claims
  const notUnderstood = (what: string) => refusedToken(`the token is bound to a key ("cnf") by ${what}`)
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) throw notUnderstood('something that is no object')
  const members = Object.entries(cnf)
  if (members.length === 0) throw notUnderstood('nothing')
  const found = { jkt: null as string | null, x5t: null as string | null }
  for (const [name, value] of members) {
    if (name !== 'jkt' && name !== 'x5t#S256') throw notUnderstood('a member that is not understood here')
    if (typeof value !== 'string' || !thumbprint.test(value)) throw notUnderstood('what is no SHA-256 thumbprint')
    found[name === 'jkt' ? 'jkt' : 'x5t'] = value
  }
  return found
}

/** A bound token shown without proof of each of its keys is a stolen one until they are seen (RFC 7800). Throws `invalid_token`. */
export function checkPossession(vouched: VouchedKeys, presented: PresentedKeys): void {
  for (const [name, kind] of [
    ['jkt', 'a DPoP proof'],
    ['x5t', 'a client certificate'],
  ] as const) {
    const wanted = vouched[name]
    if (wanted === null || wanted === presented[name]) continue
    const shown = presented[name] === undefined ? 'no proof of that key was presented' : `${kind} shows another key`
    throw refusedToken(`the token is bound to a key ("cnf") and ${shown}`)
  }
}

/**
 * The principal of this request. A key that the caller chose by itself pins what it opens, and binds nothing: whoever steals
 * a free token can make a proof too. Throws `invalid_token` when a vouched key is not among the presented ones.
 */
export function bindPrincipal(principal: Principal, vouched: VouchedKeys, presented: PresentedKeys): Principal {
  checkPossession(vouched, presented)
  const binding = vouched.jkt !== null ? 'dpop' : vouched.x5t !== null ? 'mtls' : 'none'
  return {
    ...principal,
    binding,
    ...(presented.jkt === undefined ? {} : { jkt: presented.jkt }),
    ...(binding === 'mtls' && vouched.x5t !== null ? { x5t: vouched.x5t } : {}),
  }
}
