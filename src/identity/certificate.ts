// One X.509 certificate, read whole: node shows neither all extensions nor which are critical, and RFC 5280 section 4.2 refuses
// what is critical and not understood. Trusts nothing: who signed it is certificate-path.ts's question.
import { X509Certificate } from 'node:crypto'
import { AsnConvert } from '@peculiar/asn1-schema'
import {
  BasicConstraints,
  ExtendedKeyUsage,
  type Extension,
  type GeneralName,
  KeyUsage,
  KeyUsageFlags,
  NameConstraints,
  Certificate as ParsedCertificate,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509'
import { refusedToken } from './raw-token.js'

const maxBytes = 16 * 1024

export interface Certificate {
  /** For names, signatures and the key; never for what it says of extensions. */
  readonly x509: X509Certificate
  /** Of the DER, hex. */
  readonly sha256: string
  /** Epoch milliseconds; valid at both. */
  readonly notBefore: number
  readonly notAfter: number
  readonly isAuthority: boolean
  /** How many authorities may stand between it and a leaf, or null for no bound. */
  readonly pathLength: number | null
  /** Null where the extension is missing. */
  readonly keyUsage: {
    readonly signs: boolean
    readonly signsCertificates: boolean
    readonly signsLists: boolean
  } | null
  readonly extendedKeyUsage: readonly string[] | null
  /** The URIs among its subject alternative names. */
  readonly uris: readonly string[]
  /** Hosts that the URIs of everything below may and may not have; null: any. */
  readonly permittedHosts: readonly string[] | null
  readonly excludedHosts: readonly string[]
  /** A name constraint of a kind that is not understood here. */
  readonly hasForeignConstraints: boolean
  /** Critical extensions that are not understood. */
  readonly unknownCritical: readonly string[]
}

// What RFC 5280 section 4.2.1 lets us pass by when it is not critical; these, critical or not, are read here.
const keyUsageId = '2.5.29.15'
const alternativeNameId = '2.5.29.17'
const basicConstraintsId = '2.5.29.19'
const nameConstraintsId = '2.5.29.30'
const extendedKeyUsageId = '2.5.29.37'
const understood: readonly string[] = [
  keyUsageId,
  alternativeNameId,
  basicConstraintsId,
  nameConstraintsId,
  extendedKeyUsageId,
]

// SHA-1 and MD5 signatures can be forged; RSASSA-PSS hides its hash in parameters, and no SPIFFE issuer uses it.
const signatureAlgorithms: readonly string[] = [
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.3.101.112',
]

/** Reads a DER certificate. Throws BrokerError `invalid_token` for what is none, or has an unsafe key or signature. */
export function parseCertificate(der: Buffer): Certificate {
  if (der.length > maxBytes) throw refusedToken(`the client certificate has a part larger than ${maxBytes} bytes`)
  const x509 = readX509(der)
  const parsed = readParts(der)
  checkKey(x509)
  // The inner one is signed; OpenSSL refuses to verify where the outer one differs.
  if (!signatureAlgorithms.includes(parsed.tbsCertificate.signature.algorithm)) {
    throw refusedToken('the client certificate or one above it is signed with an algorithm that is not allowed')
  }
  const { validity, extensions = [] } = parsed.tbsCertificate
  return {
    x509,
    sha256: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBefore: validity.notBefore.getTime().getTime(),
    notAfter: validity.notAfter.getTime().getTime(),
    ...readExtensions([...extensions]),
  }
}

function readX509(der: Buffer): X509Certificate {
  try {
    const x509 = new X509Certificate(der)
    // Bytes behind it would be another thumbprint for the same certificate.
    if (x509.raw.equals(der)) return x509
  } catch (cause) {
    throw refusedToken('the client certificate cannot be read', cause)
  }
  throw refusedToken('the client certificate is not plain DER')
}

function readParts(der: Buffer): ParsedCertificate {
  try {
    return AsnConvert.parse(der, ParsedCertificate)
  } catch (cause) {
    throw refusedToken('the client certificate cannot be read', cause)
  }
}

function checkKey({ publicKey }: X509Certificate): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = publicKey
  const isSafe =
    type === 'ed25519' ||
    (type === 'ec' && ['prime256v1', 'secp384r1', 'secp521r1'].includes(details.namedCurve ?? '')) ||
    (type === 'rsa' && (details.modulusLength ?? 0) >= 2048 && (details.publicExponent ?? 0n) >= 3n)
  if (!isSafe) throw refusedToken('the client certificate or one above it has a weak or unknown kind of key')
}

function readExtensions(extensions: readonly Extension[]) {
  // RFC 5280 section 4.2: not twice the same, or two readers take two.
  if (new Set(extensions.map(({ extnID }) => extnID)).size !== extensions.length) {
    throw refusedToken('the client certificate or one above it has an extension twice')
  }
  const find = <T>(id: string, type: new () => T): T | null => {
    const extension = extensions.find(({ extnID }) => extnID === id)
    if (extension === undefined) return null
    try {
      return AsnConvert.parse(extension.extnValue, type)
    } catch (cause) {
      throw refusedToken('the client certificate or one above it has an extension that cannot be read', cause)
    }
  }
  const basic = find(basicConstraintsId, BasicConstraints)
  const purposes = find(extendedKeyUsageId, ExtendedKeyUsage)
  return {
    isAuthority: basic?.cA ?? false,
    pathLength: basic?.pathLenConstraint ?? null,
    keyUsage: readKeyUsage(find(keyUsageId, KeyUsage)),
    extendedKeyUsage: purposes === null ? null : [...purposes],
    uris: [...(find(alternativeNameId, SubjectAlternativeName) ?? [])].flatMap(uriIn),
    ...readConstraints(find(nameConstraintsId, NameConstraints)),
    unknownCritical: extensions.flatMap(({ extnID, critical }) =>
      critical && !understood.includes(extnID) ? [extnID] : [],
    ),
  }
}

function readKeyUsage(usage: KeyUsage | null): Certificate['keyUsage'] {
  if (usage === null) return null
  const bits = usage.toNumber()
  return {
    signs: (bits & KeyUsageFlags.digitalSignature) !== 0,
    signsCertificates: (bits & KeyUsageFlags.keyCertSign) !== 0,
    signsLists: (bits & KeyUsageFlags.cRLSign) !== 0,
  }
}

const uriIn = ({ uniformResourceIdentifier: uri }: GeneralName): string[] => (uri === undefined ? [] : [uri])

/** Constraints on URIs are understood (RFC 5280 section 4.2.1.10); any other kind could forbid what we would let through. */
function readConstraints(constraints: NameConstraints | null) {
  const permitted = constraints?.permittedSubtrees ?? []
  const excluded = constraints?.excludedSubtrees ?? []
  const hosts = (subtrees: typeof permitted) => subtrees.flatMap(({ base }) => uriIn(base))
  const isForeign = ({ base, minimum, maximum }: (typeof permitted)[number]) =>
    base.uniformResourceIdentifier === undefined || minimum !== 0 || maximum !== undefined
  return {
    permittedHosts: constraints?.permittedSubtrees === undefined ? null : hosts(permitted),
    excludedHosts: hosts(excluded),
    hasForeignConstraints: [...permitted, ...excluded].some(isForeign),
  }
}
