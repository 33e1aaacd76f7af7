// A SPIFFE bundle endpoint (SPIFFE_Federation.md section 5): who may answer for a trust domain, and which answers count.
import { X509Certificate } from 'node:crypto'
import type { ServerIdentity } from './remote-document.js'
import { parseTrustBundle, type TrustBundle } from './trust-bundle.js'

/** Fetches one document from a server of this identity; the bounds are already in it. */
export type FetchBundle = (url: string, server: ServerIdentity) => Promise<unknown>

/** `https_web`: the web's PKI, or `ca` (PEM) in its place. `https_spiffe`: the X.509-SVID of `id`, by the trust domain's bundle. */
export type EndpointServer =
  | { readonly ca: string | undefined }
  | { readonly id: string; readonly readInitial: () => Promise<TrustBundle> }

// A publisher may not make us ask without pause, nor keep a removed key for a day.
const leastRefreshSeconds = 30
const mostRefreshSeconds = 3600
// SPIFFE_Federation.md section 6.1: what a client does where there is no hint.
const defaultRefreshSeconds = 300

/** How soon a bundle is fetched again: its hint within our bounds, and twice at least before it is stale. */
export function refreshSecondsOf({ refreshHintSeconds }: TrustBundle, maxStaleSeconds: number): number {
  const wanted = refreshHintSeconds ?? defaultRefreshSeconds
  return Math.min(Math.max(wanted, leastRefreshSeconds), mostRefreshSeconds, maxStaleSeconds / 2)
}

/**
 * Loads the bundle at `url`. An answer older than one seen before (`spiffe_sequence`) is an error, so that the newer one
 * stays: a replayed bundle would bring back keys that were taken out. Throws an Error for operators.
 */
export function loadEndpoint(
  url: string,
  server: EndpointServer,
  fetchBundle: FetchBundle,
): () => Promise<TrustBundle> {
  let newest: TrustBundle | null = null
  let initial: TrustBundle | null = null
  return async () => {
    if ('id' in server) {
      // A file that was replaced is the operator's newest word: the way back after a trust domain was set up anew.
      const read = await server.readInitial()
      if (read !== initial) newest = read
      initial = read
    }
    const bundle = parseTrustBundle(await fetchBundle(url, identityOf(server, newest)))
    const [seen, given] = [newest?.sequence ?? null, bundle.sequence]
    if (seen !== null && given !== null && given < seen) {
      throw new Error(`${url}: answered bundle ${given} (spiffe_sequence) after bundle ${seen}; the newer one stays`)
    }
    newest = bundle
    return bundle
  }
}

function identityOf(server: EndpointServer, bundle: TrustBundle | null): ServerIdentity {
  if ('ca' in server) return server.ca === undefined ? {} : { ca: [server.ca] }
  const authorities = bundle?.x509Authorities ?? []
  // An empty list would mean the system's roots to node:tls.
  if (authorities.length === 0) throw new Error('the trust bundle has no X.509 authority to know its endpoint by')
  return {
    ca: authorities.map((authority) => authority.toString()),
    // The bundle's certificates are the roots, whoever signed them in turn.
    allowPartialTrustChain: true,
    // Section 5.2.2: the SPIFFE ID and not the host's name.
    checkServerIdentity: (_hostname, { raw }) => serverProblem(new X509Certificate(raw), server.id),
  }
}

/** X509-SVID.md section 2 and 5: one URI name, exactly the expected SPIFFE ID, and no authority's certificate. */
function serverProblem(certificate: X509Certificate, expected: string): Error | undefined {
  if (certificate.ca) return new Error('the server showed the certificate of an authority')
  // Node quotes a name that holds a comma, so that no name can pass for two.
  const uris = (certificate.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'))
  if (uris.length === 1 && uris[0] === `URI:${expected}`) return undefined
  return new Error(`the server is ${uris.join(' and ') || 'of no SPIFFE ID'}, expected ${expected}`)
}
