// A SPIFFE trust bundle: what a trust domain's JWT-SVIDs and X.509-SVIDs are verified with (SPIFFE_Trust_Domain_and_Bundle.md
// section 4). Each entry stands by itself: one that is unusable is skipped and named, and never spoils the others.
import { X509Certificate } from 'node:crypto'
import { type KeySet, parseKeySet } from './key-set.js'

export interface TrustBundle {
  /** The JWT authorities. */
  readonly jwtKeys: KeySet
  /** The X.509 authorities: the only roots that a chain of this trust domain may end in. */
  readonly x509Authorities: readonly X509Certificate[]
  /** `spiffe_sequence`, or null where the publisher gives none: then bundles have no order. */
  readonly sequence: number | null
  /** `spiffe_refresh_hint`, as published: whoever uses it bounds it. */
  readonly refreshHintSeconds: number | null
}

/** Where the bundle of one trust domain comes from, kept fresh there. */
export interface TrustBundleSource {
  /** The bundle that counts now. Throws BrokerError `issuer_unavailable` when none could be had for longer than `max_stale`. */
  current(): Promise<TrustBundle>
}

// A chain is tried against each authority: a bundle is bounded so that one handshake costs little.
const maxAuthorities = 100

/**
 * Reads a bundle document. An object without usable keys revokes all (section 4.1.3); throws an Error only when `document`
 * is no JSON object and so no bundle at all. Entries of a `use` that is not known are ignored (section 4.2.2).
 */
export function parseTrustBundle(document: unknown): TrustBundle {
  const jwtKeys = parseKeySet(document, 'jwt-svid')
  const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: hint } = document as Record<string, unknown>
  const entries: unknown[] = Array.isArray(keys) ? keys : []
  const { authorities, skipped } = collect(
    entries.flatMap((entry, index) =>
      isX509Entry(entry) ? [{ name: `key ${index + 1}`, read: () => readAuthority(entry.x5c) }] : [],
    ),
  )
  return {
    jwtKeys: { keys: jwtKeys.keys, skipped: [...jwtKeys.skipped, ...skipped] },
    x509Authorities: authorities,
    sequence: isCount(sequence) ? sequence : null,
    refreshHintSeconds: isCount(hint) ? hint : null,
  }
}

/**
 * Reads JWT authorities as the Workload API gives them: a plain JWK set, whose keys need not say their `use` (SPIRE leaves
 * it out). Throws an Error when `document` is no JSON object.
 */
export function parseJwtAuthorities(document: unknown): KeySet {
  return parseKeySet(withUse(document), 'jwt-svid')
}

/**
 * Reads X.509 authorities as the Workload API gives them: DER certificates one behind the other (SPIFFE_Workload_API.md
 * section 5.3). What is no certificate is skipped and named; nothing behind it can be found.
 */
export function parseX509Authorities(der: Uint8Array): {
  readonly authorities: readonly X509Certificate[]
  readonly skipped: readonly string[]
} {
  return collect(
    splitDer(Buffer.from(der)).map((one, index) => ({
      name: `certificate ${index + 1}`,
      read: () => authorityOf(one),
    })),
  )
}

function collect(sources: readonly { readonly name: string; read(): X509Certificate }[]) {
  const authorities: X509Certificate[] = []
  const skipped: string[] = []
  for (const { name, read } of sources) {
    try {
      if (authorities.length >= maxAuthorities) throw new Error(`is beyond the first ${maxAuthorities}`)
      authorities.push(read())
    } catch (error) {
      skipped.push(`${name}: ${error instanceof Error ? error.message : 'unreadable'}`)
    }
  }
  return { authorities, skipped }
}

/** X509-SVID.md section 6.2: `x5c` holds exactly one certificate; an entry without it is ignored. */
function readAuthority(chain: unknown): X509Certificate {
  const [text] = Array.isArray(chain) ? (chain as unknown[]) : []
  if (!Array.isArray(chain) || chain.length !== 1 || typeof text !== 'string') {
    throw new Error('its x5c does not hold exactly one certificate')
  }
  // Node skips what is not base64, and would read one authority out of many spellings.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new Error('its x5c is not base64')
  return authorityOf(Buffer.from(text, 'base64'))
}

function authorityOf(der: Buffer): X509Certificate {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(der)
  } catch (cause) {
    throw new Error('is not a readable certificate', { cause })
  }
  // A leaf as a root would let its holder stand for every name that it can sign.
  if (!certificate.ca) throw new Error('is not the certificate of an authority (CA)')
  return certificate
}

/** Cuts DER elements apart by their own lengths; what does not add up comes last, whole. Looks no further than is taken. */
function splitDer(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length && parts.length <= maxAuthorities; ) {
    const end = Math.min(at + derLength(bytes.subarray(at)), bytes.length)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}

/** Of a whole element, header included. A header that cannot be read swallows the rest. */
function derLength(bytes: Buffer): number {
  const first = bytes[1] ?? 0
  if (first < 0x80) return 2 + first
  const size = first & 0x7f
  if (size === 0 || size > 4 || bytes.length < 2 + size) return bytes.length
  return 2 + size + bytes.readUIntBE(2, size)
}

function isX509Entry(entry: unknown): entry is { readonly x5c?: unknown } {
  return typeof entry === 'object' && entry !== null && (entry as { use?: unknown }).use === 'x509-svid'
}

function withUse(document: unknown): unknown {
  if (typeof document !== 'object' || document === null) return document
  const { keys } = document as { keys?: unknown }
  if (!Array.isArray(keys)) return document
  const stated = keys.map((key: unknown) =>
    typeof key === 'object' && key !== null && !Object.hasOwn(key, 'use') ? { ...key, use: 'jwt-svid' } : key,
  )
  return { ...document, keys: stated }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
