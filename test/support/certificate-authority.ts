// Certificates of every shape, good and bad, made byte by byte and really signed: openssl would not make most of them.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { AsnConvert, AsnSerializer, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  KeyUsage,
  KeyUsageFlags,
  Name,
  NameConstraints,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
} from '@peculiar/asn1-x509'

export interface Issued {
  readonly name: string
  readonly der: Buffer
  readonly cert: string
  readonly key: string
  readonly privateKey: KeyObject
}

export interface Shape {
  readonly name?: string
  readonly uris?: readonly string[]
  /** Further names: a server's. */
  readonly hosts?: readonly string[]
  readonly ca?: boolean
  readonly pathLength?: number
  /** Null leaves the extension out. */
  readonly usage?: readonly (keyof typeof KeyUsageFlags)[] | null
  readonly purposes?: readonly string[]
  readonly notBefore?: number
  readonly notAfter?: number
  readonly permitted?: readonly GeneralName[]
  readonly excluded?: readonly GeneralName[]
  readonly extra?: readonly Extension[]
  /** Of the signature; the hash and its object identifier. */
  readonly hash?: readonly [string, string]
  readonly keys?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
}

export const uriName = (uri: string) => new GeneralName({ uniformResourceIdentifier: uri })
export const dnsName = (name: string) => new GeneralName({ dNSName: name })
export const clientAuth = '1.3.6.1.5.5.7.3.2'
export const serverAuth = '1.3.6.1.5.5.7.3.1'

/** An extension nobody knows, or a well-known one once more. */
export const extension = (extnID: string, critical: boolean, der = Buffer.from([0x05, 0x00])) =>
  new Extension({ extnID, critical, extnValue: new OctetString(der) })

let serial = 1

/** A certificate of `shape`, signed by `signer` or by itself. A leaf of a SPIFFE workload unless told otherwise. */
export function issue(signer: Issued | null, shape: Shape = {}): Issued {
  const keys = shape.keys ?? generateKeyPairSync('ec', { namedCurve: 'P-256' })
  serial += 1
  const name = shape.name ?? `certificate ${serial}`
  const [hash, algorithm] = shape.hash ?? ['sha256', '1.2.840.10045.4.3.2']
  const now = Date.now()
  const tbs = new TBSCertificate({
    version: 2,
    serialNumber: new Uint8Array([1, ...randomBytes(8)]).buffer,
    signature: new AlgorithmIdentifier({ algorithm }),
    issuer: nameOf(signer?.name ?? name),
    validity: new Validity({
      notBefore: new Date(shape.notBefore ?? now - 3_600_000),
      notAfter: new Date(shape.notAfter ?? now + 3_600_000),
    }),
    subject: nameOf(name),
    subjectPublicKeyInfo: AsnConvert.parse(
      keys.publicKey.export({ type: 'spki', format: 'der' }),
      SubjectPublicKeyInfo,
    ),
    extensions: new Extensions(extensionsOf(shape)),
  })
  const signed = Buffer.from(AsnSerializer.serialize(tbs))
  const der = Buffer.from(
    AsnSerializer.serialize(
      new Certificate({
        tbsCertificate: tbs,
        signatureAlgorithm: new AlgorithmIdentifier({ algorithm }),
        signatureValue: new Uint8Array(sign(hash, signed, signer?.privateKey ?? keys.privateKey)).buffer,
      }),
    ),
  )
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  const cert = `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { name, der, cert, key, privateKey: keys.privateKey }
}

/** An authority: signs certificates and names its trust domain. */
export function issueAuthority(signer: Issued | null, trustDomain: string, shape: Shape = {}): Issued {
  const usage: Shape['usage'] = ['keyCertSign', 'cRLSign']
  return issue(signer, { ca: true, usage, uris: [`spiffe://${trustDomain}`], ...shape })
}

/** A bundle document of these authorities. */
export const bundleOf = (...authorities: Issued[]) => ({
  keys: authorities.map(({ der }) => ({ kty: 'EC', use: 'x509-svid', x5c: [der.toString('base64')] })),
})

function nameOf(text: string): Name {
  const value = new AttributeValue({ utf8String: text })
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: '2.5.4.3', value })])])
}

function extensionsOf({
  ca,
  pathLength,
  usage,
  purposes,
  uris,
  hosts,
  permitted,
  excluded,
  extra,
}: Shape): Extension[] {
  const made = (id: string, critical: boolean, value: unknown) =>
    extension(id, critical, Buffer.from(AsnSerializer.serialize(value)))
  const subtrees = (names: readonly GeneralName[]) =>
    new GeneralSubtrees(names.map((base) => new GeneralSubtree({ base })))
  const constraints = new NameConstraints({
    ...(permitted && { permittedSubtrees: subtrees(permitted) }),
    ...(excluded && { excludedSubtrees: subtrees(excluded) }),
  })
  const bits = (usage ?? ['digitalSignature']).reduce((all, name) => all | Number(KeyUsageFlags[name]), 0)
  const basic = new BasicConstraints({
    cA: ca ?? false,
    ...(pathLength === undefined ? {} : { pathLenConstraint: pathLength }),
  })
  return [
    ...(usage === null ? [] : [made('2.5.29.15', true, new KeyUsage(bits))]),
    made('2.5.29.19', true, basic),
    ...(purposes === undefined ? [] : [made('2.5.29.37', false, new ExtendedKeyUsage([...purposes]))]),
    ...(uris === undefined
      ? []
      : [made('2.5.29.17', false, new SubjectAlternativeName([...uris.map(uriName), ...(hosts ?? []).map(dnsName)]))]),
    ...(permitted || excluded ? [made('2.5.29.30', true, constraints)] : []),
    ...(extra ?? []),
  ]
}
