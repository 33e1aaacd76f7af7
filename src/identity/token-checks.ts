// The checks that OIDC tokens and JWT-SVIDs share, on claims that are not yet proven: cheap ones first, so that a token
// that cannot pass costs neither a signature nor a fetch of keys.
import { compactVerify } from 'jose'
import type { Clock } from '../core/clock.js'
import { type AudienceRules, isForUs } from './audience.js'
import type { TokenTerms } from './issuer.js'
import type { PublicKey } from './key-set.js'
import { checkPossession, type PresentedKeys, type VouchedKeys, vouchedKeysOf } from './presented-keys.js'
import { quoted, type RawToken, refusedToken } from './raw-token.js'

export interface TokenRules extends AudienceRules {
  readonly algorithms: readonly string[]
  /** Allowed `typ` values; an absent `typ` counts as `JWT` (RFC 7519 section 5.1). */
  readonly types: readonly string[]
  readonly leewaySeconds: number
  /** How old a token may be by its `iat`, or null for no bound. */
  readonly maxAgeSeconds: number | null
}

/**
 * Checks everything about a token that needs no key and no issuer's own rules, and answers the keys it is bound to, which
 * `presented` holds. Throws `invalid_token`.
 */
export function checkToken(
  token: RawToken,
  rules: TokenRules,
  clock: Clock,
  presented: PresentedKeys = {},
): VouchedKeys {
  const { alg, typ } = token.header
  if (!rules.algorithms.includes(alg)) {
    throw refusedToken(`alg ${quoted(alg)} is not allowed for this issuer (allowed: ${rules.algorithms.join(', ')})`)
  }
  if (!rules.types.includes(typ ?? 'JWT')) {
    throw refusedToken(`typ ${quoted(typ)} is not allowed for this issuer (allowed: ${rules.types.join(', ')})`)
  }
  checkAudience(token, rules)
  checkTimes(token, rules, clock)
  const vouched = vouchedKeysOf(token, rules)
  checkPossession(vouched, presented)
  return vouched
}

function checkAudience(token: RawToken, rules: AudienceRules): void {
  const seen = token.payload.aud
  const expected = oneOf(rules.audiences)
  if (seen.length === 0) throw refusedToken(`the token names no audience; expected ${expected}`)
  if (!isForUs(seen, rules)) throw refusedToken(`the token is for audience ${quoted(seen)}; expected ${expected}`)
}

function oneOf(values: readonly string[]): string {
  return values.map(quoted).join(' or ')
}

/** Checks the token's times against the clock: each time it is presented. Throws `invalid_token`. */
export function checkTimes({ payload }: TokenTerms, rules: TokenRules, clock: Clock): void {
  const now = Math.floor(clock.now() / 1000)
  const { exp, nbf, iat } = payload
  const leeway = rules.leewaySeconds
  if (exp === undefined) throw refusedToken('the token has no "exp"')
  if (exp <= now - leeway) throw refusedToken(`the token expired ${Math.ceil(now - exp)} seconds ago ("exp")`)
  if (nbf !== undefined && nbf > now + leeway) {
    throw refusedToken(`the token is not valid for another ${Math.ceil(nbf - now)} seconds ("nbf")`)
  }
  if (iat !== undefined && iat > now + leeway) {
    throw refusedToken(`the token was issued ${Math.ceil(iat - now)} seconds in the future ("iat")`)
  }
  if (rules.maxAgeSeconds === null) return
  if (iat === undefined) throw refusedToken('the token has no "iat", which this issuer\'s max_age needs')
  if (now - iat > rules.maxAgeSeconds + leeway) {
    throw refusedToken(
      `the token was issued ${Math.ceil(now - iat)} seconds ago; at most ${rules.maxAgeSeconds} allowed`,
    )
  }
}

/** Verifies the signature with the first of `keys` that fits, and answers which. Throws `invalid_token` when none does. */
export async function verifySignature(token: RawToken, keys: readonly PublicKey[]): Promise<PublicKey> {
  let cause: unknown
  for (const key of keys) {
    try {
      await compactVerify(token.text.reveal(), key.key, { algorithms: [token.header.alg] })
      return key
    } catch (error) {
      cause = error
    }
  }
  throw refusedToken("the token's signature does not verify with the issuer's keys", cause)
}
