// A SPIFFE trust domain: JWT-SVIDs against the JWT authorities of its bundle (JWT-SVID.md), X.509-SVIDs against the others. Keys
// never cross domains.
import type { Clock } from '../core/clock.js'
import { acceptedBy } from './accepts.js'
import { isForUs } from './audience.js'
import type { BundleSource } from './bundle-sources.js'
import { runCheck, type TokenCheck } from './checks.js'
import { derivePrincipal, deriveSvidPrincipal, type PrincipalRules } from './derive-principal.js'
import type { Issuer, SvidVerifier } from './issuer.js'
import { authenticateBy, type IssuerChecks } from './issuer-checks.js'
import type { PathTemplate } from './path-template.js'
import { vouchedKeysOf } from './presented-keys.js'
import { quoted, type RawToken, refusedToken } from './raw-token.js'
import { parseSpiffeId, type SpiffeId, trustDomainIn } from './spiffe-id.js'
import { createTimeChecks, createTokenChecks, type TokenRules } from './token-checks.js'
import type { TrustBundleSource } from './trust-bundle.js'
import { type PresentedCertificate, verifySvid } from './x509-svid.js'

interface SpiffeRules extends PrincipalRules, TokenRules {
  readonly trustDomain: string
  /** Another configured issuer has the same trust domain: then the audience tells them apart. */
  readonly sharesTrustDomain: boolean
  /** The first that fits gives the attributes; a path that fits none has none. */
  readonly paths: readonly PathTemplate[]
}

/** An Issuer whose bundle serves X.509-SVIDs as well. */
export interface SpiffeIssuer extends Issuer {
  readonly trustDomain: string
  readonly bundle: TrustBundleSource
  readonly svids: SvidVerifier
}

/** An issuer of JWT-SVIDs; `keys` holds the trust domain's `jwt-svid` keys. An `iss` in the token means nothing here. */
export function createSpiffeIssuer(rules: SpiffeRules, keys: BundleSource, clock: Clock): SpiffeIssuer {
  const checks = createSpiffeChecks(rules, keys, clock)
  const times = createTimeChecks(rules, clock)
  return {
    name: rules.name,
    use: rules.use,
    accepts: acceptedBy(rules, { trustDomain: rules.trustDomain }, {}),
    checks,
    matches({ payload }) {
      if (payload.sub === undefined || trustDomainIn(payload.sub) !== rules.trustDomain) return false
      return !rules.sharesTrustDomain || isForUs(payload.aud, rules)
    },
    authenticate: (token, presented = {}) => authenticateBy(checks, token, presented),
    async stands(token, key) {
      for (const one of times) runCheck(one, token)
      return (await keys.findKeys(token.header.alg, token.header.kid)).includes(key)
    },
    status: () => keys.status(),
    refresh: () => keys.refresh(),
    trustDomain: rules.trustDomain,
    bundle: keys,
    svids: {
      trustDomain: rules.trustDomain,
      async authenticate(presented: PresentedCertificate) {
        const svid = await verifySvid(presented, { trustDomain: rules.trustDomain, bundle: keys }, clock)
        return deriveSvidPrincipal(rules, svid, attributesOf(svid.id, rules.paths))
      },
    },
    close: () => keys.close(),
  }
}

function createSpiffeChecks(rules: SpiffeRules, keys: BundleSource, clock: Clock): IssuerChecks {
  const { trustDomain, paths } = rules
  return {
    before: [noWitSvidCheck, subjectCheck(trustDomain), ...createTokenChecks(rules, clock)],
    // The kid is optional (section 2.2): a token without one is tried against each key that fits its algorithm.
    async findKeys({ header: { alg, kid } }) {
      const found = await keys.findKeys(alg, kid)
      if (found.length > 0) return found
      const named = kid === undefined ? '' : ` named kid ${quoted(kid)}`
      throw refusedToken(`the trust bundle of ${trustDomain} has no usable JWT key${named}`)
    },
    after: [],
    derive: (token) => derivePrincipal(rules, token, attributesOf(checkSubject(token, trustDomain), paths)),
    vouched: (token) => vouchedKeysOf(token, rules),
  }
}

/**
 * WIT-SVID.md: such a token is nothing without proof of the key it names, which is not asked for here. Whatever `typ` is
 * configured; case and prefix do not count in it (RFC 7515 section 4.1.9).
 */
const noWitSvidCheck: TokenCheck = {
  name: 'type',
  expected: 'no WIT-SVID',
  seen: ({ header }) => header.typ,
  check({ header }) {
    if (!/^(application\/)?wit\+jwt$/i.test(header.typ ?? '')) return
    throw refusedToken('the token is a WIT-SVID (typ "wit+jwt"): it identifies nobody here, present a JWT-SVID')
  },
}

function subjectCheck(trustDomain: string): TokenCheck {
  return {
    name: 'subject',
    expected: `sub, a SPIFFE ID in ${trustDomain}`,
    seen: ({ payload }) => payload.sub,
    check: (token) => void checkSubject(token, trustDomain),
  }
}

function checkSubject(token: RawToken, trustDomain: string): SpiffeId {
  const { sub } = token.payload
  if (sub === undefined) throw refusedToken('the token has no "sub"')
  let id: SpiffeId
  try {
    id = parseSpiffeId(sub)
  } catch (cause) {
    throw refusedToken(`sub ${quoted(sub)} is not a SPIFFE ID: ${cause instanceof Error ? cause.message : ''}`, cause)
  }
  if (id.trustDomain !== trustDomain) throw refusedToken(`sub ${quoted(sub)} is not in trust domain ${trustDomain}`)
  return id
}

function attributesOf(id: SpiffeId, paths: readonly PathTemplate[]): Record<string, string> {
  for (const template of paths) {
    const attributes = template.match(id.path)
    if (attributes !== null) return attributes
  }
  return {}
}
