// X.509-SVIDs: those of a real SPIRE, and every rule of X509-SVID.md and RFC 5280 section 6 broken in one place.
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { presentCertificate } from '../../../src/identity/x509-svid.js'
import {
  bundleOf,
  clientAuth,
  dnsName,
  extension,
  type Issued,
  issue,
  issueAuthority,
  type Shape,
  serverAuth,
  uriName,
} from '../../support/certificate-authority.js'
import { createManualClock, createPool, fixturePath, readFixture, refusalText } from './identity-fixtures.js'

const paths = ['/ns/{namespace}/sa/{service_account}']
const domain = 'prod.acme.example'
const id = `spiffe://${domain}/ns/ci/sa/deployer`
const derOf = (name: string) => new X509Certificate(readFixture(`spire/${name}`)).raw
const present = (leaf: Issued, ...others: Issued[]) =>
  presentCertificate(
    leaf.der,
    others.map(({ der }) => der),
  )

describe('X.509-SVIDs of a real SPIRE', () => {
  const pool = createPool({
    prod: { type: 'spiffe', trust_domain: domain, bundle: { file: 'spire/prod/bundle.json' }, paths },
    staging: { type: 'spiffe', trust_domain: 'staging.acme.example', bundle: { file: 'spire/staging/bundle.json' } },
  })
  test('are the SPIFFE ID that their JWT-SVIDs are, bound', async () => {
    const leaf = derOf('prod/x509/svid.pem')
    const { fingerprint256, validTo } = new X509Certificate(leaf)
    const principal = await pool.authenticateSvid(presentCertificate(leaf, []))
    expect(principal).toEqual({
      ...(await pool.authenticate(readFixture('spire/prod/ns_ci_sa_deployer.jwt'))),
      binding: 'mtls',
      x5t: Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'),
      tokenSha256: fingerprint256.replaceAll(':', '').toLowerCase(),
      tokenExpiresAt: Date.parse(validTo) / 1000,
    })
    expect(principal).toMatchObject({ id: `prod:${id}`, attributes: { namespace: 'ci', service_account: 'deployer' } })
    const other = await pool.authenticateSvid(presentCertificate(derOf('staging/x509/svid.pem'), []))
    expect(other.id).toBe('staging:spiffe://staging.acme.example/ns/ci/sa/deployer')
  })

  test('bind the JWT-SVID of the same workload, and of no other', async () => {
    const svid = presentCertificate(derOf('prod/x509/svid.pem'), [])
    const bindingOf = async (token: string, shown = svid) =>
      (await pool.bindSvid(await pool.authenticate(readFixture(`spire/${token}.jwt`)), shown)).binding
    expect(await bindingOf('prod/ns_ci_sa_deployer')).toBe('mtls')
    expect(await bindingOf('prod/ns_web_sa_frontend')).toBe('none')
    expect(await bindingOf('staging/deployer')).toBe('none')
    const garbage = presentCertificate(Buffer.from('no certificate'), [])
    expect(await bindingOf('prod/ns_ci_sa_deployer', garbage)).toBe('none')
  })
})

const root = issueAuthority(null, domain)
const strangerRoot = issueAuthority(null, 'staging.acme.example')
const now = Date.now()
let folder: string
let pool: ReturnType<typeof createPool>
const clock = createManualClock(now)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'svids-'))
  await writeFile(join(folder, 'prod.json'), JSON.stringify(bundleOf(root)))
  await writeFile(join(folder, 'staging.json'), JSON.stringify(bundleOf(strangerRoot)))
  const section = {
    prod: { type: 'spiffe', trust_domain: domain, bundle: { file: 'prod.json' }, paths },
    staging: { type: 'spiffe', trust_domain: 'staging.acme.example', bundle: { file: 'staging.json' } },
  }
  pool = createPool(section, { directory: folder, clock })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const leaf = (shape: Shape = {}, signer: Issued | null = root) => issue(signer, { uris: [id], ...shape })
const authority = (shape: Shape = {}, signer: Issued | null = root) => issueAuthority(signer, domain, shape)

describe('what is taken', () => {
  test.each<[string, () => Issued[]]>([
    ['signed by an authority', () => [leaf()]],
    ['without an extended key usage, or with both', () => [leaf({ purposes: [serverAuth, clientAuth] })]],
    [
      'with an extension that nobody knows and that is not critical',
      () => [leaf({ extra: [extension('1.2.3.4', false)] })],
    ],
    [
      'over an intermediate without a SPIFFE ID',
      () => {
        const middle = issue(root, { ca: true, usage: ['keyCertSign'] })
        return [leaf({}, middle), middle]
      },
    ],
    [
      'over two, sent in the wrong order, with the root sent too',
      () => {
        const upper = authority()
        const lower = authority({ pathLength: 0 }, upper)
        return [leaf({}, lower), root, upper, lower]
      },
    ],
    [
      'within the names that an authority allows',
      () => {
        const middle = authority({ permitted: [uriName('.acme.example')], excluded: [uriName('staging.acme.example')] })
        return [leaf({}, middle), middle]
      },
    ],
  ])('%s', async (_name, make) => {
    const [first, ...others] = make()
    if (first === undefined) throw new Error('no leaf')
    expect((await pool.authenticateSvid(present(first, ...others))).id).toBe(`prod:${id}`)
  })
})

const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength })
const over = (shape: Shape, leafShape: Shape = {}) => {
  const middle = authority(shape)
  return [leaf(leafShape, middle), middle]
}

describe('what is refused', () => {
  const rows: [string, () => Issued[], RegExp][] = [
    ['two URIs', () => [leaf({ uris: [id, 'https://elsewhere.example/'] })], /exactly one URI/],
    ['two SPIFFE IDs', () => [leaf({ uris: [id, id] })], /exactly one URI/],
    ['no URI', () => [issue(root, {})], /exactly one URI/],
    ['a URI of another kind', () => [leaf({ uris: ['https://prod.acme.example/a'] })], /no SPIFFE ID/],
    ['a trust domain without a path', () => [leaf({ uris: [`spiffe://${domain}`] })], /names a trust domain/],
    ['an unknown trust domain', () => [leaf({ uris: ['spiffe://other.example/a'] })], /no configured issuer takes/],
    ['a leaf that is a CA', () => [leaf({ ca: true })], /authority \(CA\), not of a workload/],
    ['no key usage', () => [leaf({ usage: null })], /does not say its key usage/],
    ['no digitalSignature', () => [leaf({ usage: ['keyAgreement'] })], /without the key usage digitalSignature/],
    ['keyCertSign', () => [leaf({ usage: ['digitalSignature', 'keyCertSign'] })], /may sign certificates/],
    ['cRLSign', () => [leaf({ usage: ['digitalSignature', 'cRLSign'] })], /may sign certificates or revocation/],
    ['for servers only', () => [leaf({ purposes: [serverAuth] })], /not for clients/],
    ['expired a second ago', () => [leaf({ notAfter: now - 1000 })], /has expired/],
    ['not valid yet', () => [leaf({ notBefore: now + 5000 })], /not valid yet/],
    ['signed by itself', () => [leaf({}, null)], /not signed by an authority of its trust domain/],
    ["another domain's authority", () => [leaf({}, strangerRoot)], /not signed by an authority/],
    ["our ID over another domain's chain", () => [leaf({}, strangerRoot), strangerRoot], /another trust domain/],
    [
      'the right name, another key',
      () => [leaf({}, issueAuthority(null, domain, { name: root.name }))],
      /does not verify/,
    ],
    [
      'over a leaf',
      () => {
        const first = leaf({ usage: ['digitalSignature'] })
        return [leaf({}, first), first]
      },
      /not signed by an authority/,
    ],
    ['over one that is no CA', () => over({ ca: false }), /no authority|not signed by an authority/],
    ['over one without keyCertSign', () => over({ usage: ['cRLSign'] }), /not signed by an authority/],
    ['over one without key usage', () => over({ usage: null }), /without the key usage keyCertSign/],
    ['over one for servers only', () => over({ purposes: [serverAuth] }), /may not sign for clients/],
    ['over one that expired', () => over({ notAfter: now - 1000 }), /has expired/],
    [
      'over one of another trust domain',
      () => over({ uris: ['spiffe://staging.acme.example'] }),
      /another trust domain/,
    ],
    ['over one with a path', () => over({ uris: [id] }), /another trust domain/],
    [
      'over one too many',
      () => {
        const upper = authority({ pathLength: 0 })
        const lower = authority({}, upper)
        return [leaf({}, lower), lower, upper]
      },
      /over more authorities than/,
    ],
    [
      'with more others than are looked at',
      () => [leaf(), ...Array.from({ length: 7 }, () => root)],
      /more than 6 others/,
    ],
    [
      'a name outside what an authority allows',
      () => over({ permitted: [uriName('staging.acme.example')] }),
      /does not allow/,
    ],
    ['a name that an authority excludes', () => over({ excluded: [uriName(domain)] }), /does not allow/],
    [
      'name constraints of another kind',
      () => over({ permitted: [dnsName('acme.example')] }),
      /name constraints that are not/,
    ],
    ['an unknown critical extension', () => [leaf({ extra: [extension('1.2.3.4', true)] })], /critical extension/],
    ['an unknown critical extension above', () => over({ extra: [extension('1.2.3.4', true)] }), /critical extension/],
    [
      'an extension twice',
      () => [leaf({ extra: [extension('2.5.29.15', true, Buffer.from([3, 2, 7, 128]))] })],
      /twice|cannot be read/,
    ],
    ['signed with SHA-1', () => [leaf({ hash: ['sha1', '1.2.840.10045.4.1'] })], /algorithm that is not allowed/],
    ['a weak key', () => [leaf({ keys: rsa(1024) })], /weak or unknown/],
  ]
  test.each(rows)('%s', async (_name, make, expected) => {
    const [first, ...others] = make()
    if (first === undefined) throw new Error('no leaf')
    const shown = await refusalText(() => pool.authenticateSvid(present(first, ...others)))
    expect(shown).toMatch(/^invalid_token /)
    expect(shown).toMatch(expected)
  })

  test('a changed byte, bytes behind it, and what is no certificate', async () => {
    const { der } = leaf()
    const changed = Buffer.from(der)
    const at = changed.indexOf('deployer')
    changed[at] = (changed[at] ?? 0) ^ 1
    const text = (bytes: Buffer) => refusalText(() => pool.authenticateSvid(presentCertificate(bytes, [])))
    expect(await text(changed)).toMatch(/does not verify/)
    expect(await text(Buffer.concat([der, Buffer.from([0])]))).toMatch(/^invalid_token .*(DER|read)/)
    expect(await text(Buffer.alloc(20_000))).toMatch(/larger than/)
    expect(await text(Buffer.from('x'))).toMatch(/cannot be read/)
  })

  test('crossed authorities of one name cost a bounded number of signatures', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const crossed = Array.from({ length: 6 }, () => issueAuthority(null, domain, { name: 'crossed', keys }))
    const shown = await refusalText(() => pool.authenticateSvid(present(leaf({}, crossed[0]), ...crossed)))
    expect(shown).toMatch(/^invalid_token .*too many ways to an authority/)
  })

  test('two issuers of one trust domain: a certificate names no audience', async () => {
    const one = { type: 'spiffe', trust_domain: domain, bundle: { file: fixturePath('spire/prod/bundle.json') } }
    const shared = createPool({ a: { ...one, audience: 'a' }, b: { ...one, audience: 'b' } })
    const shown = await refusalText(() => shared.authenticateSvid(present(leaf())))
    expect(shown).toMatch(/several issuers have the trust domain/)
  })
})

test('an authority that leaves the bundle ends what it signed, one that comes begins; times count each time', async () => {
  const next = issueAuthority(null, domain)
  const old = present(leaf({ notAfter: now + 600_000 }))
  const fresh = present(leaf({}, next))
  const file = join(folder, 'prod.json')
  expect(await refusalText(() => pool.authenticateSvid(fresh))).toMatch(/not signed by an authority/)
  await writeFile(file, JSON.stringify(bundleOf(root, next)))
  clock.advance(2)
  expect((await pool.authenticateSvid(fresh)).id).toBe((await pool.authenticateSvid(old)).id)
  clock.advance(600)
  expect(await refusalText(() => pool.authenticateSvid(old))).toMatch(/has expired/)
  await writeFile(file, JSON.stringify(bundleOf(next)))
  clock.advance(2)
  expect(await refusalText(() => pool.authenticateSvid(present(leaf())))).toMatch(/not signed by an authority/)
  await writeFile(file, JSON.stringify({ keys: [] }))
  clock.advance(2)
  expect(await refusalText(() => pool.authenticateSvid(fresh))).toMatch(/not signed by an authority/)
})
