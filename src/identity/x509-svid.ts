// A caller's certificate as its X.509-SVID (X509-SVID.md). That the caller holds the key was shown by TLS, or by a proxy that
// proved itself; everything else is verified here, anew for each request.
import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.js'
import { type Certificate, parseCertificate } from './certificate.js'
import { checkUnderstood, verifyPath } from './certificate-path.js'
import { quoted, refusedToken } from './raw-token.js'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js'
import type { TrustBundleSource } from './trust-bundle.js'

const clientAuth = '1.3.6.1.5.5.7.3.2'
const maxIntermediates = 6

/** What a caller presented: a leaf, and whatever else it sent behind it. Nothing of it is verified. */
export interface PresentedCertificate {
  /** RFC 8705 thumbprint of the leaf. */
  readonly x5t: string
  /** The leaf first. Throws `invalid_token` for what no X.509-SVID comes with; beside a token that is no harm. */
  read(): readonly [Certificate, ...Certificate[]]
}

/** An X.509-SVID whose holder called. */
export interface VerifiedSvid {
  readonly id: SpiffeId
  /** Of the leaf, hex. */
  readonly sha256: string
  /** Epoch seconds. */
  readonly expiresAt: number
}

/** Takes DER certificates as they came, the leaf first; they are read when first needed, once. */
export function presentCertificate(leaf: Buffer, others: readonly Buffer[]): PresentedCertificate {
  let known: readonly [Certificate, ...Certificate[]] | null = null
  return {
    x5t: createHash('sha256').update(leaf).digest('base64url'),
    read() {
      if (others.length > maxIntermediates) {
        throw refusedToken(`the client certificate comes with more than ${maxIntermediates} others`)
      }
      known ??= [parseCertificate(leaf), ...others.map(parseCertificate)]
      return known
    },
  }
}

/** The SPIFFE ID that the leaf names, to choose the trust domain by: exactly one URI (section 2). Throws `invalid_token`. */
export function readSvidId(presented: PresentedCertificate): SpiffeId {
  const [leaf] = presented.read()
  const [uri, ...others] = leaf.uris
  if (uri === undefined || others.length > 0) {
    throw refusedToken('the client certificate is no X.509-SVID: it does not name exactly one URI')
  }
  let id: SpiffeId
  try {
    id = parseSpiffeId(uri)
  } catch (cause) {
    throw refusedToken(`the client certificate names a URI that is no SPIFFE ID (${quoted(uri)})`, cause)
  }
  // Section 3.1: without a path it stands for the trust domain itself.
  if (id.path === '') throw refusedToken(`the client certificate names a trust domain, not a workload (${quoted(uri)})`)
  return id
}

/**
 * Verifies the SVID with its own trust domain's bundle as it is now. Throws `invalid_token`, or `issuer_unavailable` when the
 * bundle cannot be had.
 */
export async function verifySvid(
  presented: PresentedCertificate,
  { trustDomain, bundle }: { readonly trustDomain: string; readonly bundle: TrustBundleSource },
  clock: Clock,
): Promise<VerifiedSvid> {
  const id = readSvidId(presented)
  const chain = presented.read()
  const [leaf] = chain
  if (id.trustDomain !== trustDomain) {
    throw refusedToken(`the client certificate is not of trust domain ${trustDomain}`)
  }
  checkLeaf(leaf)
  const { x509Authorities: authorities } = await bundle.current()
  verifyPath(chain, { trustDomain, authorities, now: clock.now() })
  return { id, sha256: leaf.sha256, expiresAt: Math.floor(leaf.notAfter / 1000) }
}

/** Section 5.2, and section 4.4 for the extended key usage. */
function checkLeaf(leaf: Certificate): void {
  const { keyUsage, extendedKeyUsage } = leaf
  checkUnderstood(leaf)
  if (leaf.isAuthority) throw refusedToken('the client certificate is that of an authority (CA), not of a workload')
  if (keyUsage === null) throw refusedToken('the client certificate does not say its key usage')
  if (keyUsage.signsCertificates || keyUsage.signsLists) {
    throw refusedToken('the client certificate may sign certificates or revocation lists: no workload may')
  }
  if (!keyUsage.signs) throw refusedToken('the client certificate is without the key usage digitalSignature')
  if (extendedKeyUsage !== null && !extendedKeyUsage.includes(clientAuth)) {
    throw refusedToken('the client certificate is not for clients (extended key usage)')
  }
}
