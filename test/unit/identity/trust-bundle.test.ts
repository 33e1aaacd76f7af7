import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { parseJwtAuthorities, parseTrustBundle, parseX509Authorities } from '../../../src/identity/trust-bundle.js'
import { fixturePath, readFixture } from './identity-fixtures.js'

interface Entry {
  use?: string
  x5c?: string[]
  [member: string]: unknown
}
const read = (name: string) =>
  JSON.parse(readFixture(`spire/${name}.json`)) as { keys: Entry[]; [member: string]: unknown }
const entry = (use: string): Entry => {
  const found = read('prod/bundle').keys.find((key) => key.use === use)
  if (found === undefined) throw new Error(`no ${use} in the fixture`)
  return found
}
const x5c = entry('x509-svid').x5c?.[0] ?? ''
const der = Buffer.from(x5c, 'base64')

describe('a trust bundle of a real SPIRE', () => {
  test('gives JWT keys and X.509 authorities apart, with its sequence', () => {
    const bundle = parseTrustBundle(read('prod/bundle'))
    expect(bundle.jwtKeys).toMatchObject({ keys: [{ kid: entry('jwt-svid').kid, algorithms: ['ES256'] }], skipped: [] })
    expect(bundle.x509Authorities.map(({ subjectAltName }) => subjectAltName)).toEqual([
      'URI:spiffe://prod.acme.example',
    ])
    expect(bundle).toMatchObject({ sequence: 1, refreshHintSeconds: null })
    // The same authority as in SPIRE's own PEM.
    const pem = readFileSync(fixturePath('spire/prod/x509/bundle.pem'), 'utf8')
    expect(pem.replace(/-----.*-----|\s/g, '')).toContain(x5c)
  })

  test('while it rotates has both JWT keys', () => {
    expect(parseTrustBundle(read('staging/bundle-rotating')).jwtKeys.keys).toHaveLength(2)
  })
})

describe('an entry that is unusable is skipped and named, and spoils nothing', () => {
  const leaf = readFileSync(fixturePath('spire/prod/x509/svid.pem'), 'utf8').replace(
    /-----END[\s\S]*|-----.*-----|\s/g,
    '',
  )
  test.each([
    ['without x5c', undefined, /exactly one certificate/],
    ['with an empty x5c', [], /exactly one certificate/],
    ['with two certificates', [x5c, x5c], /exactly one certificate/],
    ['with a number', [1], /exactly one certificate/],
    ['with white space in x5c', [`${x5c.slice(0, 8)}\n${x5c.slice(8)}`], /not base64/],
    ['with something else', ['AAAA'], /not a readable certificate/],
    ['with a leaf', [leaf], /not the certificate of an authority/],
  ])('%s', (_, chain, expected) => {
    const bundle = parseTrustBundle({ keys: [{ ...entry('x509-svid'), x5c: chain }, ...read('prod/bundle').keys] })
    expect(bundle.x509Authorities).toHaveLength(1)
    expect(bundle.jwtKeys.keys).toHaveLength(1)
    expect(bundle.jwtKeys.skipped).toEqual([expect.stringMatching(expected)])
  })

  test('uses do not cross, and an unknown one counts for nothing', () => {
    const both = [
      { ...entry('jwt-svid'), use: 'wit-svid' },
      { ...entry('jwt-svid'), use: 'x509-svid' },
      { ...entry('x509-svid'), use: 'wit-svid' },
      null,
      'x509-svid',
    ]
    const bundle = parseTrustBundle({ keys: both })
    expect(bundle.jwtKeys.keys).toEqual([])
    expect(bundle.x509Authorities).toEqual([])
  })
})

test.each([{}, { keys: [] }, { keys: 'none' }])('%j revokes all', (document) => {
  expect(parseTrustBundle(document)).toMatchObject({ jwtKeys: { keys: [] }, x509Authorities: [] })
})

test.each([null, [], 'keys', 7])('%j is no bundle', (document) => {
  expect(() => parseTrustBundle(document)).toThrow('is not a JSON object')
})

test.each([-1, 1.5, '5', null, 2 ** 60])('a sequence or hint of %j is none', (value) => {
  const bundle = parseTrustBundle({ keys: [], spiffe_sequence: value, spiffe_refresh_hint: value })
  expect(bundle).toMatchObject({ sequence: null, refreshHintSeconds: null })
})

describe('authorities as the Workload API gives them', () => {
  test('JWT keys need not say their use, but may not have another', () => {
    const { use: _, ...plain } = entry('jwt-svid')
    expect(parseJwtAuthorities({ keys: [plain] }).keys).toHaveLength(1)
    expect(parseJwtAuthorities({ keys: [entry('jwt-svid')] }).keys).toHaveLength(1)
    expect(parseJwtAuthorities({ keys: [entry('x509-svid'), { ...plain, use: 'sig' }] }).keys).toEqual([])
    expect(() => parseJwtAuthorities([])).toThrow('is not a JSON object')
  })

  test('certificates stand one behind the other', () => {
    expect(parseX509Authorities(Buffer.concat([der, der])).authorities).toHaveLength(2)
    expect(parseX509Authorities(new Uint8Array())).toEqual({ authorities: [], skipped: [] })
  })

  test.each([
    ['cut short', Buffer.concat([der, der.subarray(0, 100)])],
    ['of another kind', Buffer.concat([der, Buffer.from([0x30, 0x03, 1, 2, 3])])],
    ['with a length of nothing', Buffer.concat([der, Buffer.from([0x30, 0x80, 1])])],
    ['with a length beyond all', Buffer.concat([der, Buffer.from([0x30, 0x84, 255, 255, 255, 255, 1])])],
  ])('one %s is skipped', (_, bytes) => {
    const { authorities, skipped } = parseX509Authorities(bytes)
    expect(authorities).toHaveLength(1)
    expect(skipped).toEqual(['certificate 2: is not a readable certificate'])
  })
})
