// The examples of the RFCs themselves: our keys, parser and signature check agree with what others published.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { Secret } from '../../../src/core/secret.js'
import { findKeys, parseKeySet } from '../../../src/identity/key-set.js'
import { parseRawToken, type RawToken } from '../../../src/identity/raw-token.js'
import { verifySignature } from '../../../src/identity/token-checks.js'
import { refusalText } from './identity-fixtures.js'

interface Example {
  readonly source: string
  readonly alg: string
  readonly jwk: JWK
  readonly token: string
  readonly verifies: boolean
  /** `a JWT`, or what the refusal says: most of the examples sign texts that are no claims. */
  readonly reads: string
}
const read = (name: string) => JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8'))
const examples: readonly Example[] = read('rfc-jws.json')
const thumbprints: readonly { source: string; jwk: JWK; thumbprint: string }[] = read('rfc-thumbprints.json')

const keysOf = ({ jwk, alg }: Example) => findKeys(parseKeySet({ keys: [jwk] }, 'sig'), alg, jwk.kid)
/** What verifySignature looks at: the examples need not be tokens that the parser would let through. */
const bare = (text: string, alg: string) => ({ text: new Secret(text), header: { alg } }) as RawToken

describe('the examples of the RFCs', () => {
  test.each(examples.filter(({ verifies }) => verifies))(
    '$source ($alg) verifies, and nothing beside it',
    async (one) => {
      const keys = keysOf(one)
      expect(keys).toHaveLength(1)
      expect(await verifySignature(bare(one.token, one.alg), keys)).toBe(keys[0])
      const [header = '', payload = '', signature = ''] = one.token.split('.')
      const bytes = Buffer.from(signature, 'base64url')
      for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ 1
        const text = `${header}.${payload}.${changed.toString('base64url')}`
        expect(await refusalText(() => verifySignature(bare(text, one.alg), keys), text)).toMatch(/does not verify/)
      }
      const other = `${header}.${Buffer.from('something else').toString('base64url')}.${signature}`
      expect(await refusalText(() => verifySignature(bare(other, one.alg), keys), other)).toMatch(/does not verify/)
    },
  )

  test.each(examples.filter(({ verifies, alg }) => !verifies && alg !== 'ES256'))(
    '$source ($alg) finds no key with us',
    (one) => {
      expect(keysOf(one)).toEqual([])
    },
  )

  test.each(examples)('$source reads: $reads', async ({ token, reads, alg }) => {
    if (reads !== 'a JWT') {
      expect(await refusalText(() => parseRawToken(token), token)).toMatch(new RegExp(`^invalid_token .*${reads}`))
      return
    }
    const { header, payload, claims } = parseRawToken(token)
    expect(header.alg).toBe(alg)
    expect(payload).toMatchObject({ iss: 'joe', exp: 1_300_819_380 })
    expect(claims['http://example.com/is_root']).toBe(true)
  })

  test.each(thumbprints)('$source: the thumbprint', async ({ jwk, thumbprint }) => {
    expect(await calculateJwkThumbprint(jwk)).toBe(thumbprint)
  })
})
