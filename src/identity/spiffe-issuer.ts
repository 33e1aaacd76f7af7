// A SPIFFE trust domain: JWT-SVIDs against the JWT authorities of its bundle (JWT-SVID.md), X.509-SVIDs against the others. Keys never cross domains.
import type { Clock } from '../core/clock.js'
import { isForUs } from './audience.js'
import type { BundleSource } from './bundle-sources.js'
import { derivePrincipal, deriveSvidPrincipal, type PrincipalRules } from './derive-principal.js'
import type { Issuer, SvidVerifier } from './issuer.js'
import type { PathTemplate } from './path-template.js'
import { quoted, type RawToken, refusedToken } from './raw-token.js'
import { parseSpiffeId, type SpiffeId, trustDomainIn } from './spiffe-id.js'
import { checkTimes, checkToken, type TokenRules, verifySignature } from './token-checks.js'
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
  return {
    name: rules.name,
    use: rules.use,
    matches({ payload }) {
      if (payload.sub === undefined || trustDomainIn(payload.sub) !== rules.trustDomain) return false
      return !rules.sharesTrustDomain || isForUs(payload.aud, rules)
    },
    async authenticate(token, presented = {}) {
      checkIsNoWitSvid(token)
      const id = checkSubject(token, rules.trustDomain)
      const vouched = checkToken(token, rules, clock, presented)
      // The kid is optional (section 2.2): a token without one is tried against each key that fits its algorithm.
      const found = await keys.findKeys(token.header.alg, token.header.kid)
      if (found.length === 0) {
        const named = token.header.kid === undefined ? '' : ` named kid ${quoted(token.header.kid)}`
        throw refusedToken(`the trust bundle of ${rules.trustDomain} has no usable JWT key${named}`)
      }
      const key = await verifySignature(token, found)
      return { principal: derivePrincipal(rules, token, attributesOf(id, rules.paths)), key, vouched }
    },
    async stands(token, key) {
      checkTimes(token, rules, clock)
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

/**
 * WIT-SVID.md: such a token is nothing without proof of the key it names, which is not asked for here. Whatever `typ` is
 * configured; case and prefix do not count in it (RFC 7515 section 4.1.9).
 */
function checkIsNoWitSvid({ header }: RawToken): void {
  if (!/^(application\/)?wit\+jwt$/i.test(header.typ ?? '')) return
  throw refusedToken('the token is a WIT-SVID (typ "wit+jwt"): it identifies nobody here, present a JWT-SVID')
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
