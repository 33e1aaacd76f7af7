// A live token that is shown again is not verified again; everything that could have changed is still looked at.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import type { Issuer, TokenTerms } from '../../../src/identity/issuer.js'
import { createIssuerPool } from '../../../src/identity/issuer-pool.js'
import { parseRawToken } from '../../../src/identity/raw-token.js'
import { createRememberedTokens } from '../../../src/identity/remembered-tokens.js'
import { createManualClock, createPool, type ManualClock, ourIssuer, refusalText } from './identity-fixtures.js'

let clock: ManualClock
let server: OidcIssuer
beforeEach(async () => {
  clock = createManualClock()
  server = await startOidcIssuer({ clock })
})
afterEach(() => server.stop())

const sign = (claims = {}) => server.sign({ sub: 'x', aud: ourIssuer, exp: clock.now() / 1000 + 600, ...claims })

/** A pool around the real issuer that counts how often a token is verified in full. */
function counting() {
  const real = createPool({ ci: { type: 'oidc', issuer: server.issuer, max_age: '5m' } }, { clock }).find('ci')
  const seen = { verified: 0 }
  const issuer: Issuer = {
    ...real,
    authenticate: (token) => {
      seen.verified += 1
      return real.authenticate(token)
    },
  }
  return { seen, real, pool: createIssuerPool([issuer], { ourIssuer }) }
}

describe('a verified token that is shown again', () => {
  test('is not verified again and speaks for the same principal', async () => {
    const { seen, pool } = counting()
    const token = await sign()
    const first = await pool.authenticate(token)
    expect(await pool.authenticate(token)).toEqual(first)
    expect(seen.verified).toBe(1)
  })

  test('with any other spelling or signature is another token', async () => {
    const { seen, pool } = counting()
    const token = await sign()
    await pool.authenticate(token)
    const altered = `${token.slice(0, -6)}${token.at(-6) === 'A' ? 'B' : 'A'}${token.slice(-5)}`
    expect(altered).not.toBe(token)
    expect(await refusalText(() => pool.authenticate(altered), altered)).toMatch(/^invalid_token/)
    expect(seen.verified).toBe(2)
  })

  test('is refused once its time is over, by exp and by max_age', async () => {
    const { pool } = counting()
    const short = await sign({ exp: clock.now() / 1000 + 60, iat: clock.now() / 1000 })
    const old = await sign({ iat: clock.now() / 1000 })
    await pool.authenticate(short)
    await pool.authenticate(old)
    clock.advance(130)
    expect(await refusalText(() => pool.authenticate(short), short)).toMatch(/expired .* ago/)
    clock.advance(300)
    expect(await refusalText(() => pool.authenticate(old), old)).toMatch(/issued .* ago; at most 300/)
  })

  test('is refused once its key is gone', async () => {
    const { real, pool } = counting()
    const token = await sign()
    await pool.authenticate(token)
    await server.rotate()
    await real.refresh()
    expect(await refusalText(() => pool.authenticate(token), token)).toMatch(/no usable key/)
  })

  test('is verified anew after its issuer was set up again', async () => {
    const token = await sign()
    await counting().pool.authenticate(token)
    const { seen, pool } = counting()
    await pool.authenticate(token)
    expect(seen.verified).toBe(1)
  })
})

test('what is remembered holds neither the token nor its signature, and is bounded', async () => {
  const { real } = counting()
  const kept: TokenTerms[] = []
  const issuer: Issuer = {
    ...real,
    stands: async (terms) => {
      kept.push(terms)
      return true
    },
  }
  const remembered = createRememberedTokens()
  const text = await sign()
  const token = parseRawToken(text)
  const verified = await real.authenticate(token)
  remembered.add(token, issuer, verified)
  expect(await remembered.find(text)).toEqual(verified.principal)
  for (const part of text.split('.')) expect(JSON.stringify(kept)).not.toContain(part.slice(0, 20))
  for (let i = 0; i < 4096; i++) remembered.add({ ...token, sha256: `other-${i}` }, issuer, verified)
  expect(await remembered.find(text)).toBeNull()
})
