// RFC 5280 section 6 for one purpose: from an X.509-SVID to an authority of its trust domain's bundle. Every rule is checked
// here and on our clock; what TLS itself thought of the chain counts for nothing.
import type { X509Certificate } from 'node:crypto'
import { type Certificate, parseCertificate } from './certificate.js'
import { quoted, refusedToken } from './raw-token.js'
import { parseSpiffeId } from './spiffe-id.js'

// Crossed chains of equal names could otherwise be tried in every order: each try costs a signature.
const maxSignatures = 32

const clientAuth = '1.3.6.1.5.5.7.3.2'
const anyPurpose = '2.5.29.37.0'

export interface PathRules {
  readonly trustDomain: string
  readonly authorities: readonly X509Certificate[]
  /** Epoch milliseconds. */
  readonly now: number
}

interface Search extends PathRules {
  readonly intermediates: readonly Certificate[]
  signatures: number
  /** Why the first way that got anywhere ended. */
  reason: unknown
}

/** Verifies the chain that a caller presented, its leaf first. Throws `invalid_token` when no way leads to an authority. */
export function verifyPath([leaf, ...intermediates]: readonly [Certificate, ...Certificate[]], rules: PathRules): void {
  checkTime(leaf, rules.now)
  const search: Search = { ...rules, intermediates, signatures: 0, reason: null }
  if (leadsToAuthority([leaf], search)) return
  throw (
    search.reason ??
    refusedToken(
      `the client certificate is not signed by an authority of its trust domain (${quoted(rules.trustDomain)})`,
    )
  )
}

/** Depth first. `path`: what is verified, the leaf first; no certificate is in it twice, so what was sent bounds its length. */
function leadsToAuthority(path: readonly Certificate[], search: Search): boolean {
  const last = path.at(-1)
  if (last === undefined) return false
  for (const authority of search.authorities) {
    if (last.x509.checkIssued(authority) && extend(path, () => parseAuthority(authority), search) !== null) return true
  }
  for (const candidate of search.intermediates) {
    if (path.includes(candidate) || !last.x509.checkIssued(candidate.x509)) continue
    const longer = extend(path, () => candidate, search)
    if (longer !== null && leadsToAuthority(longer, search)) return true
  }
  return false
}

/** The path with this signer at its end; null when it may not stand there, with the reason kept. */
function extend(path: readonly Certificate[], signer: () => Certificate, search: Search): Certificate[] | null {
  try {
    const authority = signer()
    checkAuthority(authority, path, search)
    search.signatures += 1
    if (search.signatures > maxSignatures)
      throw refusedToken('the client certificate has too many ways to an authority')
    if (path.at(-1)?.x509.verify(authority.x509.publicKey) !== true) {
      throw refusedToken('the client certificate or one above it has a signature that does not verify')
    }
    return [...path, authority]
  } catch (error) {
    search.reason ??= error
    return null
  }
}

const parsed = new WeakMap<X509Certificate, Certificate>()

/** A bundle's authorities are the same objects until it changes. */
function parseAuthority(authority: X509Certificate): Certificate {
  const known = parsed.get(authority) ?? parseCertificate(authority.raw)
  parsed.set(authority, known)
  return known
}

/** Both ends included (RFC 5280 section 4.1.2.5). A presented token's leeway is not for certificates. */
function checkTime({ notBefore, notAfter }: Certificate, now: number): void {
  if (now < notBefore) throw refusedToken('the client certificate or one above it is not valid yet')
  if (now > notAfter) throw refusedToken('the client certificate or one above it has expired')
}

/** Whether `authority` may have signed the end of `path` (X509-SVID.md sections 3.2 and 4, RFC 5280 section 6.1.4). */
function checkAuthority(authority: Certificate, path: readonly Certificate[], rules: PathRules): void {
  const { isAuthority, keyUsage, extendedKeyUsage, pathLength } = authority
  checkTime(authority, rules.now)
  checkUnderstood(authority)
  if (!isAuthority) throw refusedToken('the client certificate is signed by one that is no authority (CA)')
  if (keyUsage?.signsCertificates !== true) {
    throw refusedToken('the client certificate is signed by one without the key usage keyCertSign')
  }
  if (extendedKeyUsage !== null && !extendedKeyUsage.some((one) => one === clientAuth || one === anyPurpose)) {
    throw refusedToken('the client certificate is signed by one that may not sign for clients')
  }
  // Those that sign themselves are not counted, so that keys can be rolled.
  const between = path.slice(1).filter(({ x509 }) => x509.subject !== x509.issuer).length
  if (pathLength !== null && between > pathLength) {
    throw refusedToken('the client certificate is signed over more authorities than one of them allows')
  }
  checkAuthorityId(authority, rules.trustDomain)
  for (const below of path) for (const uri of below.uris) checkNamed(uri, authority)
}

/** Critical extensions and name constraints that are not understood are refusals. Throws `invalid_token`. */
export function checkUnderstood({ unknownCritical, hasForeignConstraints }: Certificate): void {
  if (unknownCritical.length > 0) {
    const detail = 'the client certificate or one above it has a critical extension that is not understood'
    throw refusedToken(`${detail} (${quoted(unknownCritical)})`)
  }
  if (hasForeignConstraints) {
    throw refusedToken('the client certificate or one above it has name constraints that are not understood')
  }
}

/** Section 3.2: an authority's own SPIFFE ID, if it has one, is that of its trust domain. */
function checkAuthorityId({ uris }: Certificate, trustDomain: string): void {
  if (uris.length === 0) return
  if (uris.length === 1 && uris[0] === `spiffe://${trustDomain}`) return
  throw refusedToken(`the client certificate is signed by an authority of another trust domain (${quoted(uris)})`)
}

/** RFC 5280 section 4.2.1.10: a host, or with a dot in front everything below it. */
function checkNamed(uri: string, { permittedHosts, excludedHosts }: Certificate): void {
  const host = hostOf(uri)
  const fits = (base: string) => {
    const lower = base.toLowerCase()
    return lower === '' || (lower.startsWith('.') ? host.endsWith(lower) : host === lower)
  }
  if ((permittedHosts === null || permittedHosts.some(fits)) && !excludedHosts.some(fits)) return
  throw refusedToken(`the client certificate has a name that one above it does not allow (${quoted(uri)})`)
}

function hostOf(uri: string): string {
  try {
    return parseSpiffeId(uri).trustDomain
  } catch (cause) {
    throw refusedToken(`the client certificate or one above it has a URI that is no SPIFFE ID (${quoted(uri)})`, cause)
  }
}
