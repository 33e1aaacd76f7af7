// An OpenID Connect issuer, by discovery or with fixed keys. Trusts its keys and nothing else about a token.
import type { Clock } from '../core/clock.js'
import { isForUs } from './audience.js'
import { type AttributeRules, checkRequirements, deriveAttributes, type Requirement } from './claims.js'
import { derivePrincipal, type PrincipalRules } from './derive-principal.js'
import type { Issuer, TokenTerms } from './issuer.js'
import type { KeySource } from './jwks.js'
import type { PublicKey } from './key-set.js'
import type { PresentedKeys, VouchedKeys } from './presented-keys.js'
import { quoted, type RawToken, refusedToken } from './raw-token.js'
import { checkTimes, checkToken, type TokenRules, verifySignature } from './token-checks.js'

interface OidcRules extends PrincipalRules, TokenRules {
  readonly issuer: string
  /** Another configured issuer has the same `iss`: then the audience tells them apart. */
  readonly sharesIss: boolean
  readonly attributes: AttributeRules
  readonly require: Readonly<Record<string, Requirement>>
}

/** An issuer of OIDC tokens; `keys` is where its signatures are checked. */
export function createOidcIssuer(rules: OidcRules, keys: KeySource, clock: Clock): Issuer {
  return {
    name: rules.name,
    use: rules.use,
    matches({ payload }) {
      if (payload.iss !== rules.issuer) return false
      return !rules.sharesIss || isForUs(payload.aud, rules)
    },
    async authenticate(token, presented = {}) {
      const vouched = checkOidcToken(token, rules, clock, presented)
      const key = await verifySignature(token, await findSigningKeys(token, keys))
      checkRequirements(token.claims, rules.require)
      return {
        principal: derivePrincipal(rules, token, deriveAttributes(token.claims, rules.attributes)),
        key,
        vouched,
      }
    },
    async stands(token, key) {
      checkTimes(token, rules, clock)
      return (await findSigningKeys(token, keys)).includes(key)
    },
    status: () => keys.status(),
    refresh: () => keys.refresh(),
  }
}

function checkOidcToken(token: RawToken, rules: OidcRules, clock: Clock, presented: PresentedKeys): VouchedKeys {
  // The pool has chosen by it already; here it is what makes the token this issuer's, whoever calls.
  if (token.payload.iss !== rules.issuer) throw refusedToken(`iss ${quoted(token.payload.iss)} is not this issuer`)
  const vouched = checkToken(token, rules, clock, presented)
  // A logout or security event token (RFC 8417 section 4.1) has the same issuer, keys and audience, and identifies nobody.
  if (Object.hasOwn(token.claims, 'events')) throw refusedToken('the token is a security event ("events"), no identity')
  return vouched
}

/** One key, or those sharing its kid. A token that names none is taken only where there is no choice. */
async function findSigningKeys({ header }: TokenTerms, keys: KeySource): Promise<readonly PublicKey[]> {
  const found = await keys.findKeys(header.alg, header.kid)
  if (found.length === 0) {
    const named = header.kid === undefined ? '' : ` named kid ${quoted(header.kid)}`
    throw refusedToken(`the issuer publishes no usable key${named} for alg ${quoted(header.alg)}`)
  }
  if (header.kid === undefined && found.length > 1) {
    throw refusedToken(`the token names no key ("kid") and ${found.length} of the issuer's keys fit`)
  }
  return found
}
