// The certificate that a request came with: from our own TLS, or from a proxy that proved to be ours. Nothing of it is
// verified here but that the caller holds its key, which TLS has shown.
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { equalInConstantTime } from '../core/hash.js'
import type { ProxyRules } from '../identity/certificate-config.js'
import { refusedToken } from '../identity/raw-token.js'
import { type PresentedCertificate, presentCertificate } from '../identity/x509-svid.js'
import { headerOf } from './one-header.js'

// One more than is taken: a longer chain is refused, not cut.
const mostTaken = 9

/** What this request came with, or null. Throws `invalid_token` for a certificate header that no proxy of ours has set. */
export function readClientCertificate(request: IncomingMessage, proxy: ProxyRules | null): PresentedCertificate | null {
  if (proxy !== null) {
    const named = [proxy.certificateHeader, ...(proxy.format === 'rfc9440' ? [`${proxy.certificateHeader}-chain`] : [])]
    const [leaf = null, rest = null] = named.map((name) => headerOf(request, name))
    const secret = headerOf(request, proxy.secretHeader)
    if (isOurProxy(request, secret, proxy)) {
      // The connection's own certificate would be the proxy's: it must not become the identity of whoever comes through it.
      return leaf === null || leaf === '' ? null : present(readHeader(proxy.format, leaf, rest))
    }
    if (leaf !== null || rest !== null || secret !== null) {
      throw refusedToken('a client certificate in a header counts only from the configured proxy, with its secret')
    }
  }
  return ofConnection(request.socket)
}

function isOurProxy(request: IncomingMessage, secret: string | null, proxy: ProxyRules): boolean {
  return (
    secret !== null &&
    proxy.isFrom(request.socket.remoteAddress ?? '') &&
    equalInConstantTime(secret, proxy.secret.reveal())
  )
}

const bySocket = new WeakMap<object, PresentedCertificate>()

/** Read once per connection, which shows one certificate for all its life; verified once per request, elsewhere. */
function ofConnection(socket: object): PresentedCertificate | null {
  if (!(socket instanceof TLSSocket)) return null
  const known = bySocket.get(socket)
  if (known !== undefined) return known
  const chain: Buffer[] = []
  for (let one = socket.getPeerX509Certificate(); one && chain.length < mostTaken; one = one.issuerCertificate) {
    chain.push(one.raw)
  }
  const presented = present(chain)
  if (presented !== null) bySocket.set(socket, presented)
  return presented
}

function present([leaf, ...others]: readonly Buffer[]): PresentedCertificate | null {
  return leaf === undefined ? null : presentCertificate(leaf, others)
}

function readHeader(format: 'pem' | 'rfc9440', leaf: string, rest: string | null): Buffer[] {
  try {
    return format === 'pem' ? readPem(leaf) : [leaf, ...(rest === null ? [] : rest.split(','))].map(readByteSequence)
  } catch (cause) {
    throw refusedToken('the client certificate in the header of the proxy cannot be read', cause)
  }
}

function readPem(escaped: string): Buffer[] {
  const text = decodeURIComponent(escaped)
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? []
  if (
    blocks.length === 0 ||
    text.replace(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g, '').trim() !== ''
  ) {
    throw new Error('is not PEM certificates and nothing else')
  }
  return blocks.slice(0, mostTaken).map((block) => new X509Certificate(block).raw)
}

/** RFC 9440 section 2.1: a byte sequence of structured fields. */
function readByteSequence(item: string): Buffer {
  const [, base64] = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(item.trim()) ?? []
  if (base64 === undefined) throw new Error('is no byte sequence')
  return Buffer.from(base64, 'base64')
}
