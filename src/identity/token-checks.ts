// The checks that OIDC tokens and JWT-SVIDs share, on claims that are not yet proven: cheap ones first, so that a token
// that cannot pass costs neither a signature nor a fetch of keys.
import { compactVerify } from 'jose'
import type { Clock } from '../core/clock.js'
import { type AudienceRules, isForUs } from './audience.js'
import type { TokenCheck } from './checks.js'
import type { PublicKey } from './key-set.js'
import { checkPossession, vouchedKeysOf } from './presented-keys.js'
import { quoted, type RawToken, refusedToken } from './raw-token.js'

export interface TokenRules extends AudienceRules {
  readonly algorithms: readonly string[]
  /** Allowed `typ` values; an absent `typ` counts as `JWT` (RFC 7519 section 5.1). */
  readonly types: readonly string[]
  readonly leewaySeconds: number
  /** How old a token may be by its `iat`, or null for no bound. */
  readonly maxAgeSeconds: number | null
}

/** All that a check of times reads: it is made again when a remembered token is shown. */
type Times = Pick<RawToken, 'payload'>

/** Everything about a token that needs no key and no issuer's own rules. */
export function createTokenChecks(rules: TokenRules, clock: Clock): readonly TokenCheck[] {
  return [
    algorithmCheck(rules),
    typeCheck(rules),
    audienceCheck(rules),
    ...createTimeChecks(rules, clock),
    possessionCheck(rules),
  ]
}

function algorithmCheck({ algorithms }: TokenRules): TokenCheck {
  return {
    name: 'algorithm',
    expected: `one of ${algorithms.join(', ')}`,
    seen: ({ header }) => header.alg,
    check({ header: { alg } }) {
      if (algorithms.includes(alg)) return
      throw refusedToken(`alg ${quoted(alg)} is not allowed for this issuer (allowed: ${algorithms.join(', ')})`)
    },
  }
}

function typeCheck({ types }: TokenRules): TokenCheck {
  return {
    name: 'type',
    expected: `one of ${types.join(', ')}${types.includes('JWT') ? ', or absent' : ''}`,
    seen: ({ header }) => header.typ,
    check({ header: { typ } }) {
      if (types.includes(typ ?? 'JWT')) return
      throw refusedToken(`typ ${quoted(typ)} is not allowed for this issuer (allowed: ${types.join(', ')})`)
    },
  }
}

function audienceCheck(rules: TokenRules): TokenCheck {
  const { audiences } = rules
  return {
    name: 'audience',
    expected: oneOf(audiences),
    seen: ({ payload }) => payload.aud,
    check({ payload: { aud } }) {
      if (aud.length === 0) throw refusedToken(`the token names no audience; expected ${oneOf(audiences)}`)
      if (isForUs(aud, rules)) return
      throw refusedToken(`the token is for audience ${quoted(aud)}; expected ${oneOf(audiences)}`)
    },
  }
}

// RFC 7800: a token bound to a key, shown by itself, is a stolen one until its proof is seen.
function possessionCheck(rules: TokenRules): TokenCheck {
  return {
    name: 'binding',
    expected: 'bound to no key, or a proof of that key with the request',
    seen: ({ claims }) => (Object.hasOwn(claims, 'cnf') ? claims.cnf : undefined),
    check: (token, presented = {}) => checkPossession(vouchedKeysOf(token, rules), presented),
  }
}

function oneOf(values: readonly string[]): string {
  return values.map(quoted).join(' or ')
}

/** The token's times against the clock: checked each time it is presented. */
export function createTimeChecks(rules: TokenRules, clock: Clock): readonly TokenCheck<Times>[] {
  const leeway = rules.leewaySeconds
  const now = () => Math.floor(clock.now() / 1000)
  return [
    {
      name: 'expiry',
      expected: `exp, later than now less ${leeway} s`,
      seen: ({ payload }) => payload.exp,
      check({ payload: { exp } }) {
        if (exp === undefined) throw refusedToken('the token has no "exp"')
        if (exp <= now() - leeway) throw refusedToken(`the token expired ${Math.ceil(now() - exp)} seconds ago ("exp")`)
      },
    },
    {
      name: 'not_before',
      expected: `nbf absent, or at most ${leeway} s ahead`,
      seen: ({ payload }) => payload.nbf,
      check({ payload: { nbf } }) {
        if (nbf === undefined || nbf <= now() + leeway) return
        throw refusedToken(`the token is not valid for another ${Math.ceil(nbf - now())} seconds ("nbf")`)
      },
    },
    {
      name: 'issued_at',
      expected: `iat absent, or at most ${leeway} s ahead`,
      seen: ({ payload }) => payload.iat,
      check({ payload: { iat } }) {
        if (iat === undefined || iat <= now() + leeway) return
        throw refusedToken(`the token was issued ${Math.ceil(iat - now())} seconds in the future ("iat")`)
      },
    },
    ...(rules.maxAgeSeconds === null ? [] : [ageCheck(rules.maxAgeSeconds, leeway, now)]),
  ]
}

function ageCheck(maxAgeSeconds: number, leeway: number, now: () => number): TokenCheck<Times> {
  return {
    name: 'max_age',
    expected: `iat, at most ${maxAgeSeconds} s and ${leeway} s of leeway ago`,
    seen: ({ payload }) => payload.iat,
    check({ payload: { iat } }) {
      if (iat === undefined) throw refusedToken('the token has no "iat", which this issuer\'s max_age needs')
      if (now() - iat <= maxAgeSeconds + leeway) return
      throw refusedToken(`the token was issued ${Math.ceil(now() - iat)} seconds ago; at most ${maxAgeSeconds} allowed`)
    },
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
