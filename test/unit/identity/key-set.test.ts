import { generateKeyPairSync, type JsonWebKey, type KeyPairKeyObjectResult } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { findKeys, parseKeySet } from '../../../src/identity/key-set.js'

const jwkOf = (pair: KeyPairKeyObjectResult): JsonWebKey => pair.publicKey.export({ format: 'jwk' })
const p256 = jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const p384 = jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }))
const rsa = jwkOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const rsa1024 = jwkOf(generateKeyPairSync('rsa', { modulusLength: 1024 }))
const ed25519 = jwkOf(generateKeyPairSync('ed25519'))
const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })

describe('a key set', () => {
  test.each<[string, unknown, RegExp]>([
    ['RSA of 1024 bits', rsa1024, /RSA key of 1024 bits/],
    ['RSA with exponent 1', { ...rsa, e: 'AQ' }, /public exponent/],
    ['RSA with an even exponent', { ...rsa, e: 'BA' }, /public exponent/],
    ['EC off the algorithm’s curve', { ...p256, alg: 'ES384' }, /fit no supported algorithm/],
    ['EC off its own curve', { ...p256, x: p384.x }, /not a readable public key/],
    ['EC with a point nowhere', { ...p256, y: p256.x }, /not a readable public key/],
    ['EC on an unsupported curve', { ...p256, crv: 'secp256k1' }, /fit no supported algorithm/],
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0' }, /not a public key/],
    ['a private key', privateKey, /not a public key/],
    ['an algorithm of another type', { ...p256, alg: 'HS256' }, /fit no supported algorithm/],
    ['a kid that is no string', { ...p256, kid: 7 }, /kid is not a string/],
    ['a key for another operation', { ...p256, key_ops: ['encrypt'] }, /key_ops/],
    ['text', 'key', /not a JSON object/],
    ['null', null, /not a JSON object/],
    ['an empty object', {}, /fit no supported algorithm/],
    ['a wrong kty', { ...p256, kty: 'OKP' }, /not a readable public key/],
  ])('skips and names %s, and keeps the others', (_what, bad, expected) => {
    const set = parseKeySet({ keys: [bad, { ...p256, kid: 'good' }] }, 'sig')
    expect(set.keys.map(({ kid }) => kid)).toEqual(['good'])
    expect(set.skipped).toEqual([expect.stringMatching(expected)])
    expect(set.skipped[0]).toMatch(/^key 1: /)
  })

  test.each([{}, { keys: [] }, { keys: 'none' }, { keys: {} }, { error: 'x' }])('%j is an empty set', (document) => {
    expect(parseKeySet(document, 'sig')).toEqual({ keys: [], skipped: [] })
  })

  test.each([null, [], 'text', 7])('%j is no answer', (document) => {
    expect(() => parseKeySet(document, 'sig')).toThrow('is not a JSON object')
  })

  test('takes sig keys for OIDC and jwt-svid keys for SPIFFE, and neither for the other', () => {
    const document = {
      keys: [
        { ...p256, kid: 'none' },
        { ...p256, kid: 'sig', use: 'sig' },
        { ...p256, kid: 'enc', use: 'enc' },
        { ...p256, kid: 'svid', use: 'jwt-svid' },
        { ...p256, kid: 'x509', use: 'x509-svid' },
      ],
    }
    expect(parseKeySet(document, 'sig').keys.map(({ kid }) => kid)).toEqual(['none', 'sig'])
    expect(parseKeySet(document, 'jwt-svid')).toMatchObject({ keys: [{ kid: 'svid' }], skipped: [] })
  })

  test('finds keys by algorithm and kid, and only those that fit both', () => {
    const keys = [
      { ...p256, kid: 'a' },
      { ...p384, kid: 'b' },
      { ...rsa, kid: 'c' },
      { ...rsa, kid: 'd', alg: 'PS256' },
      { ...ed25519, kid: 'e' },
    ]
    const set = parseKeySet({ keys }, 'sig')
    const kids = (alg: string, kid?: string) => findKeys(set, alg, kid).map((key) => key.kid)
    expect(kids('ES256')).toEqual(['a'])
    expect(kids('ES256', 'b')).toEqual([])
    expect(kids('RS256')).toEqual(['c'])
    expect(kids('PS256')).toEqual(['c', 'd'])
    expect(kids('EdDSA', 'e')).toEqual(['e'])
    expect(kids('HS256')).toEqual([])
    expect(kids('none')).toEqual([])
  })

  test('is bounded', () => {
    const set = parseKeySet({ keys: Array.from({ length: 101 }, (_, i) => ({ ...p256, kid: `k${i}` })) }, 'sig')
    expect(set.keys).toHaveLength(100)
    expect(set.skipped).toHaveLength(1)
  })
})
