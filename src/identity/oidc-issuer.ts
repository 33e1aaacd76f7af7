// An OpenID Connect issuer, by discovery or with fixed keys. Trusts its keys and nothing else about a token.
import type { Clock } from '../core/clock.js'
import { acceptedBy } from './accepts.js'
import { isForUs } from './audience.js'
import { nameLaterRefusals, runCheck, type TokenCheck } from './checks.js'
import { type AttributeRules, checkRequirements, deriveAttributes, type Requirement, readClaim } from './claims.js'
import { derivePrincipal, type PrincipalRules } from './derive-principal.js'
import type { Issuer, TokenTerms } from './issuer.js'
import { authenticateBy, type IssuerChecks } from './issuer-checks.js'
import type { KeySource } from './jwks.js'
import type { PublicKey } from './key-set.js'
import { vouchedKeysOf } from './presented-keys.js'
import { quoted, type RawToken, refusedToken } from './raw-token.js'
import { createTimeChecks, createTokenChecks, type TokenRules } from './token-checks.js'

interface OidcRules extends PrincipalRules, TokenRules {
  readonly issuer: string
  /** Another configured issuer has the same `iss`: then the audience tells them apart. */
  readonly sharesIss: boolean
  readonly attributes: AttributeRules
  readonly require: Readonly<Record<string, Requirement>>
  /** The preset's word against a token that its issuer signed, or null. */
  readonly refuses: ((claims: RawToken['claims']) => string | null) | null
}

/** An issuer of OIDC tokens; `keys` is where its signatures are checked. */
export function createOidcIssuer(rules: OidcRules, keys: KeySource, clock: Clock): Issuer {
  const checks = createOidcChecks(rules, keys, clock)
  const times = createTimeChecks(rules, clock)
  return {
    name: rules.name,
    use: rules.use,
    accepts: acceptedBy(rules, { iss: rules.issuer }, rules.require),
    checks,
    matches({ payload }) {
      if (payload.iss !== rules.issuer) return false
      return !rules.sharesIss || isForUs(payload.aud, rules)
    },
    authenticate: (token, presented = {}) => authenticateBy(checks, token, presented),
    async stands(token, key) {
      for (const one of times) runCheck(one, token)
      return (await nameLaterRefusals('key', () => findSigningKeys(token, keys))).includes(key)
    },
    status: () => keys.status(),
    refresh: () => keys.refresh(),
  }
}

function createOidcChecks(rules: OidcRules, keys: KeySource, clock: Clock): IssuerChecks {
  return {
    before: [issuerCheck(rules.issuer), ...createTokenChecks(rules, clock), eventCheck],
    findKeys: (token) => findSigningKeys(token, keys),
    after: [...presetChecks(rules), ...requirementChecks(rules.require)],
    derive: (token) => derivePrincipal(rules, token, deriveAttributes(token.claims, rules.attributes)),
    vouched: (token) => vouchedKeysOf(token, rules),
  }
}

/** The pool has chosen by it already; here it is what makes the token this issuer's, whoever calls. */
function issuerCheck(issuer: string): TokenCheck {
  return {
    name: 'issuer',
    expected: `iss ${quoted(issuer)}`,
    seen: ({ payload }) => payload.iss,
    check({ payload: { iss } }) {
      if (iss !== issuer) throw refusedToken(`iss ${quoted(iss)} is not this issuer`)
    },
  }
}

// A logout or security event token (RFC 8417 section 4.1) has the same issuer, keys and audience, and identifies nobody.
const eventCheck: TokenCheck = {
  name: 'event',
  expected: 'no "events"',
  seen: ({ claims }) => (Object.hasOwn(claims, 'events') ? claims.events : undefined),
  check({ claims }) {
    if (Object.hasOwn(claims, 'events')) throw refusedToken('the token is a security event ("events"), no identity')
  },
}

function presetChecks({ refuses }: OidcRules): TokenCheck[] {
  if (refuses === null) return []
  return [
    {
      name: 'preset',
      expected: "a token that the issuer's preset takes",
      seen: () => undefined,
      check({ claims }) {
        const refused = refuses(claims)
        if (refused !== null) throw refusedToken(refused)
      },
    },
  ]
}

function requirementChecks(require: OidcRules['require']): TokenCheck[] {
  return Object.entries(require).map(([name, requirement]) => ({
    name: 'require',
    expected: `${name} ${quoted(requirement)}`,
    seen: ({ claims }) => readClaim(claims, [name]),
    check: ({ claims }) => checkRequirements(claims, { [name]: requirement }),
  }))
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
