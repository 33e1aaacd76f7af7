// Verified token or certificate → Principal: the same last step for every kind of issuer.
import { sha256Hex } from '../core/hash.js'
import { joinAttributes, readClaim } from './claims.js'
import type { SingleUse } from './dpop-proof.js'
import type { AttributeValue, Principal } from './principal.js'
import { type RawToken, refusedToken } from './raw-token.js'
import type { VerifiedSvid } from './x509-svid.js'

export interface PrincipalRules {
  readonly name: string
  readonly use: 'workload' | 'operator'
  /** Attributes that make the account and the instance, or null: the subject, and none. */
  readonly account: readonly string[] | null
  readonly instance: readonly string[] | null
  readonly sessionSeconds: number
  /** Raw claim by which approvers are counted, or null. */
  readonly person: string | null
  readonly singleUse: boolean
  readonly leewaySeconds: number
}

/** Names who a verified token speaks for. Throws `invalid_token` when a claim that tells callers apart is missing. */
export function derivePrincipal(
  rules: PrincipalRules,
  token: RawToken,
  attributes: Readonly<Record<string, AttributeValue>>,
): Principal {
  const { sub, exp } = token.payload
  if (sub === undefined || sub === '') throw refusedToken('the token has no "sub"')
  // An id that breaks a line in a log or a terminal would be somebody else's line; one that turns the direction of text
  // (CVE-2021-42574) would read as somebody else's name.
  if (/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(sub)) {
    throw refusedToken('"sub" in the token\'s payload contains control characters')
  }
  if (exp === undefined) throw refusedToken('the token has no "exp"')
  return {
    ...describeCaller(rules, sub, attributes),
    person: rules.person === null ? null : personIn(token, rules.person, rules.use),
    tokenSha256: token.sha256,
    tokenExpiresAt: Math.floor(exp),
    ...(rules.singleUse ? { tokenUse: useOf(token, exp + rules.leewaySeconds) } : {}),
  }
}

/** Names who a verified X.509-SVID speaks for: who the same workload's JWT-SVID does, bound by the key that TLS has seen. */
export function deriveSvidPrincipal(
  rules: PrincipalRules,
  svid: VerifiedSvid,
  attributes: Readonly<Record<string, AttributeValue>>,
): Principal {
  return {
    ...describeCaller(rules, svid.id.text, attributes),
    binding: 'mtls',
    x5t: Buffer.from(svid.sha256, 'hex').toString('base64url'),
    person: null,
    tokenSha256: svid.sha256,
    tokenExpiresAt: svid.expiresAt,
  }
}

function describeCaller(
  rules: PrincipalRules,
  subject: string,
  attributes: Readonly<Record<string, AttributeValue>>,
): Omit<Principal, 'person' | 'tokenSha256' | 'tokenExpiresAt'> {
  const { name, use } = rules
  const account = rules.account === null ? `${name}:${subject}` : joinAttributes(name, rules.account, attributes)
  const instance = rules.instance === null ? null : joinAttributes(name, rules.instance, attributes)
  checkNameable(name, { sub: `${name}:${subject}`, account, instance })
  return {
    id: `${name}:${subject}`,
    issuer: name,
    subject,
    use,
    attributes,
    account,
    instance,
    sessionSeconds: rules.sessionSeconds,
    // A binding needs proof by the caller: `none` until DPoP or mTLS has shown it.
    binding: 'none',
  }
}

/** As long as a SPIFFE ID may be. */
const longestName = 2048

/** Whoever has a longer name could not be named in a lock, an order or a filter: nobody could stop that one alone. */
function checkNameable(issuer: string, names: Readonly<Record<string, string | null>>): void {
  for (const [what, name] of Object.entries(names)) {
    if (name !== null && name.length > issuer.length + 1 + longestName)
      throw refusedToken(`the token's ${what} is longer than ${longestName} characters`)
  }
}

/** By what was signed: an ECDSA signature has two spellings, and the second would be another token's hash. */
function useOf({ signingInput }: RawToken, untilSeconds: number): SingleUse {
  return { digest: sha256Hex(signingInput), until: untilSeconds * 1000 }
}

/**
 * An operator without it could vote once per issuer, so its absence is a refusal and not a null. A workload may have nobody
 * behind it: there it only says who must not approve what it asks for.
 */
function personIn(token: RawToken, claim: string, use: PrincipalRules['use']): string | null {
  const value = readClaim(token.claims, [claim])
  if (typeof value === 'string' && value !== '') return value
  if (use === 'workload') return null
  throw refusedToken(`the token has no "${claim}", by which this issuer's people are counted`)
}
