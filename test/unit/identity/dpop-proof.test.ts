// A DPoP proof is taken when every member is as RFC 9449 has it, and refused for each one that is not.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { Secret } from '../../../src/core/secret.js'
import { createDpopNonces } from '../../../src/identity/dpop-nonce.js'
import { accessTokenHash, type DpopRules, verifyProof } from '../../../src/identity/dpop-proof.js'
import { normalizeTargetUri } from '../../../src/identity/target-uri.js'
import { createProvingKey, makeProof, malleated, type ProofShape, type ProvingKey } from '../../support/dpop.js'
import { createManualClock, encode, refusal, refusalText } from './identity-fixtures.js'

interface Vectors {
  readonly jkt: string
  readonly access_token: string
  readonly ath: string
  readonly proofs: readonly {
    readonly section: string
    readonly proof: string
    readonly method: string
    readonly url: string
    readonly iat: number
    readonly ath: boolean
  }[]
  readonly target_uris: {
    readonly same: readonly [string, string][]
    readonly different: readonly [string, string][]
    readonly none: readonly string[]
  }
}
const vectors = JSON.parse(readFileSync(new URL('../../vectors/dpop.json', import.meta.url), 'utf8')) as Vectors

const clock = createManualClock()
const rules: DpopRules = { baseUrl: 'https://broker.example', maxAgeSeconds: 60, nonces: null }
const url = 'https://broker.example/v1/tasks'
const token = 'the.subject.token'
const request = { method: 'POST', path: '/v1/tasks', token }
let key: ProvingKey
beforeAll(async () => {
  key = await createProvingKey()
})
const proofWith = (shape: Partial<ProofShape> = {}, by = key) =>
  makeProof(by, { method: 'POST', url, token, at: clock.now(), ...shape })
const verify = (proof: string, over: Partial<DpopRules> = {}) =>
  verifyProof(proof, request, { ...rules, ...over }, clock)

describe('the examples of RFC 9449', () => {
  test('the hash of section 7.1 is that of its access token', () => {
    expect(accessTokenHash(vectors.access_token)).toBe(vectors.ath)
  })

  test.each(vectors.proofs)('section $section', async ({ proof, method, url: shown, iat, ath }) => {
    const { origin, pathname: path } = new URL(shown)
    const at = createManualClock(iat * 1000)
    const run = () =>
      verifyProof(proof, { method, path, token: vectors.access_token }, { ...rules, baseUrl: origin }, at)
    // The token request has no access token yet: everything but the missing hash is as we want it.
    if (ath) expect(await run()).toMatchObject({ jkt: vectors.jkt })
    else expect(await refusalText(run, proof)).toMatch(/its ath is not the hash/)
    at.advance(61)
    expect(await refusalText(run, proof)).toMatch(ath ? /made 61 seconds ago; at most 60/ : /ath/)
  })
})

describe('target URIs', () => {
  test.each(vectors.target_uris.same)('%s is %s', (one, other) => {
    expect(normalizeTargetUri(one)).toBe(normalizeTargetUri(other))
    expect(normalizeTargetUri(one)).not.toBeNull()
  })
  test.each(vectors.target_uris.different)('%s is not %s', (one, other) => {
    expect(normalizeTargetUri(one)).not.toBe(normalizeTargetUri(other))
  })
  test('longer than any of ours is none', () => {
    const long = (length: number) => 'https://broker.example/'.padEnd(length, 'x')
    expect(normalizeTargetUri(long(4096))).toBe(long(4096))
    expect(normalizeTargetUri(long(4097))).toBeNull()
  })
  test.each(vectors.target_uris.none)('%j is none', (text) => {
    expect(normalizeTargetUri(text)).toBeNull()
  })
})

test.each(['ES256', 'ES384', 'ES512', 'RS256', 'PS512', 'EdDSA'])('a good proof by an %s key', async (alg) => {
  const own = await createProvingKey(alg)
  const { jkt, use } = await verify(await proofWith({}, own))
  expect(jkt).toBe(own.jkt)
  expect(use.until).toBe(Math.floor(clock.now() / 1000) * 1000 + 60_000)
})

test('one jti is one use, however the proof is signed again; another key has others', async () => {
  const claims = { jti: 'same' }
  const first = await proofWith({ claims })
  const { use } = await verify(first)
  expect((await verify(malleated(first))).use.digest).toBe(use.digest)
  expect((await verify(await proofWith({ claims, at: clock.now() - 5000 }))).use.digest).toBe(use.digest)
  expect((await verify(await proofWith({ claims }, await createProvingKey()))).use.digest).not.toBe(use.digest)
})

test('a proof is taken up to its age, and as far ahead as clocks may be apart', async () => {
  for (const iat of [seconds(-60), seconds(30)]) await verify(await proofWith({ claims: { iat } }))
  for (const iat of [seconds(-61), seconds(31)]) {
    const proof = await proofWith({ claims: { iat } })
    expect(await refusalText(() => verify(proof), proof)).toMatch(/^invalid_token .* it was made/)
  }
  // However late it comes, its use is remembered for as long as it could come again.
  expect((await verify(await proofWith({ claims: { iat: seconds(30) } }))).use.until).toBe(seconds(90) * 1000)
})

test('what stands behind the path of the request does not count, whatever it is', async () => {
  for (const behind of ['?resource=repo:acme/web', '?q="{|}"', `?q=${'x'.repeat(5000)}`, '#there']) {
    const path = `/v1/tasks${behind}`
    expect(await verifyProof(await proofWith(), { ...request, path }, rules, clock)).toMatchObject({ jkt: key.jkt })
  }
})

const seconds = (offset: number) => Math.floor(clock.now() / 1000) + offset
const broken: [name: string, shape: () => Partial<ProofShape>, says: RegExp][] = [
  ['typ JWT', () => ({ header: { typ: 'JWT' } }), /its typ is "JWT"/],
  ['no typ', () => ({ header: { typ: undefined } }), /its typ is nothing/],
  ['typ in upper case', () => ({ header: { typ: 'DPOP+JWT' } }), /its typ is/],
  ['no jwk', () => ({ header: { jwk: undefined } }), /its header has no "jwk"/],
  ['a jwk that is a list', () => ({ header: { jwk: [key.publicJwk] } }), /its header has no "jwk"/],
  ['a private key', () => ({ header: { jwk: key.privateJwk } }), /not a public key/],
  ['a key that is shared', () => ({ header: { jwk: { kty: 'oct', k: 'AAAA' } } }), /not a public key/],
  ['a prime beside the key', () => ({ header: { jwk: { ...key.publicJwk, p: 'AQAB' } } }), /not a public key/],
  [
    'another member of a private key',
    () => ({ header: { jwk: { ...key.publicJwk, dq: 'AQAB' } } }),
    /not a public key/,
  ],
  ['a shared key beside it', () => ({ header: { jwk: { ...key.publicJwk, k: 'AAAA' } } }), /not a public key/],
  ['a key for encryption', () => ({ header: { jwk: { ...key.publicJwk, use: 'enc' } } }), /"jwk" cannot be used/],
  ['a point off the curve', () => ({ header: { jwk: { ...key.publicJwk, y: key.publicJwk.x } } }), /cannot be used/],
  ['crit', () => ({ header: { crit: ['b64'], b64: true } }), /crit/],
  ['htm of another method', () => ({ claims: { htm: 'GET' } }), /its htm is "GET", the method is POST/],
  ['htm in lower case', () => ({ claims: { htm: 'post' } }), /its htm is "post"/],
  ['no htm', () => ({ claims: { htm: undefined } }), /its htm is nothing/],
  ['htu of another path', () => ({ claims: { htu: `${url}/x` } }), /its htu is/],
  ['htu of another host', () => ({ claims: { htu: 'https://evil.example/v1/tasks' } }), /its htu is/],
  ['htu that is a list', () => ({ claims: { htu: [url] } }), /its htu is/],
  ['no htu', () => ({ claims: { htu: undefined } }), /its htu is nothing/],
  ['ath of another token', () => ({ claims: { ath: accessTokenHash('another') } }), /its ath is not the hash/],
  ['no ath', () => ({ claims: { ath: undefined } }), /its ath is not the hash/],
  ['no iat', () => ({ claims: { iat: undefined } }), /no "iat"/],
  ['an old iat', () => ({ claims: { iat: seconds(-62) } }), /made \d+ seconds ago; at most 60/],
  ['an iat to come', () => ({ claims: { iat: seconds(40) } }), /seconds in the future/],
  ['an iat in words', () => ({ claims: { iat: 'now' } }), /"iat"/],
  ['an exp that is over', () => ({ claims: { exp: seconds(-1) } }), /has expired/],
  ['an exp of now', () => ({ claims: { exp: seconds(0) } }), /has expired/],
  ['an nbf to come', () => ({ claims: { nbf: seconds(100) } }), /not valid yet/],
  ['no jti', () => ({ claims: { jti: undefined } }), /no "jti"/],
  ['an empty jti', () => ({ claims: { jti: '' } }), /no "jti"/],
  ['a jti that is a number', () => ({ claims: { jti: 7 } }), /"jti"/],
  ['a huge jti', () => ({ claims: { jti: 'x'.repeat(257) } }), /jti is longer/],
]
describe('a proof with', () => {
  test.each(broken)('%s is refused', async (_name, shape, says) => {
    const made = shape()
    // jose itself would not sign with crit; what matters is that it is never taken.
    const proof = made.header?.crit === undefined ? await proofWith(made) : unsigned(made.header)
    const refused = await refusal(() => verify(proof), proof)
    expect(`${refused.code} ${refused.detail}`).toMatch(says)
    expect(refused.code).toBe('invalid_token')
    expect(refused.headers['www-authenticate']).toMatch(/^DPoP error="invalid_dpop_proof", algs="[^"]*ES256/)
  })

  test("another's key in its header is refused by the signature", async () => {
    const other = await createProvingKey()
    const proof = await proofWith({ header: { jwk: other.publicJwk } })
    expect(await refusalText(() => verify(proof), proof)).toMatch(/signature does not verify/)
  })

  test('alg none, HMAC, or one that its key does not fit', async () => {
    for (const alg of ['none', 'HS256'])
      expect(await refusalText(() => verify(unsigned({ alg })))).toMatch(/is not allowed/)
    expect(await refusalText(() => verify(unsigned({ alg: 'RS256' })))).toMatch(/does not fit alg "RS256"/)
  })

  test('a short RSA key', async () => {
    // 1024 bits are not made any more: a modulus of that size is enough to see it refused.
    const jwk = {
      kty: 'RSA',
      e: 'AQAB',
      n: Buffer.concat([Buffer.from([0x80]), randomBytes(126), Buffer.from([1])]).toString('base64url'),
    }
    expect(await refusalText(() => verify(unsigned({ alg: 'RS256', jwk })))).toMatch(/1024 bits/)
  })

  test('two spellings, or none', async () => {
    const proof = await proofWith()
    for (const text of [`${proof}=`, `${proof}.`, ` ${proof}`, 'x', '', 'a.b.c', 'x'.repeat(20_000)]) {
      expect(await refusalText(() => verify(text))).toMatch(/^invalid_token the DPoP proof is refused/)
    }
    const twice = `${Buffer.from('{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256"}').toString('base64url')}.e30.AA`
    expect(await refusalText(() => verify(twice))).toMatch(/typ/)
  })
})

const unsigned = (header: object) =>
  `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk, ...header })}.${encode({ jti: 'x' })}.${encode('noise')}`

describe('nonces', () => {
  const secret = (...texts: string[]) => new Secret(texts.join(','))
  const [one, two] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
  const noncesOf = (keys: Secret, deployment = 'https://broker.example') => createDpopNonces(keys, deployment, clock)

  test('a proof without a good one is told one, which is then taken', async () => {
    const nonces = noncesOf(secret(one))
    for (const nonce of [undefined, 'mine', 7]) {
      const proof = await proofWith({ claims: { nonce } })
      const refused = await refusal(() => verify(proof, { nonces }), proof)
      expect(refused.code).toBe('use_dpop_nonce')
      expect(refused.headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce"/)
      const given = refused.headers['dpop-nonce'] ?? ''
      expect(await verify(await proofWith({ claims: { nonce: given } }), { nonces })).toMatchObject({ jkt: key.jkt })
    }
  })

  test('lasts five to ten minutes, over brokers and over a change of keys, not over deployments', () => {
    const nonce = noncesOf(secret(one)).current()
    // 144 bits: nobody guesses one.
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{24}$/)
    expect(noncesOf(secret(two, one)).isGood(nonce)).toBe(true)
    expect(noncesOf(secret(two)).isGood(nonce)).toBe(false)
    expect(noncesOf(secret(one), 'https://other.example').isGood(nonce)).toBe(false)
    clock.advance(300)
    expect(noncesOf(secret(one)).isGood(nonce)).toBe(true)
    clock.advance(300)
    expect(noncesOf(secret(one)).isGood(nonce)).toBe(false)
  })
})
