import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type Behaviour, type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import {
  createManualClock,
  createPool,
  type ManualClock,
  ourIssuer,
  refusal,
  refusalText,
  unsignedToken,
} from './identity-fixtures.js'

let clock: ManualClock
let server: OidcIssuer
beforeEach(async () => {
  clock = createManualClock()
  server = await startOidcIssuer({ clock })
})
afterEach(() => server.stop())

const pool = (extra: object = {}, deps: object = {}) =>
  createPool({ ci: { type: 'oidc', issuer: server.issuer, ...extra } }, { clock, ...deps })
const sign = (options = {}) => server.sign({ sub: 'x', aud: ourIssuer, exp: clock.now() / 1000 + 86_400 }, options)
const fetches = () => server.requests.filter((path) => path === '/jwks').length
const ok = { id: 'ci:x' }

describe('keys of an issuer', () => {
  test('are fetched once for callers who come together, and kept', async () => {
    const { authenticate } = pool()
    const token = await sign()
    await Promise.all(Array.from({ length: 20 }, () => authenticate(token)))
    await authenticate(token)
    expect(server.requests).toEqual(['/.well-known/openid-configuration', '/jwks'])
  })

  test('are fetched at most once per cool-down in a flood of 10,000 unknown kids, and honest callers go on', async () => {
    const { authenticate } = pool()
    const honest = await sign()
    await authenticate(honest)
    clock.advance(31)
    const before = fetches()
    // No key has their kid, so nobody looks at their signature.
    const claims = { iss: server.issuer, sub: 'x', aud: ourIssuer, exp: clock.now() / 1000 + 86_400 }
    const flood = Array.from({ length: 10_000 }, (_, i) => unsignedToken(claims, { alg: 'ES256', kid: `random-${i}` }))
    const codes = new Set<string>()
    await Promise.all(
      flood.map(async (token, index) => {
        if (index % 500 === 0) expect(await authenticate(honest)).toMatchObject(ok)
        await authenticate(token).catch((error: { code: string }) => codes.add(error.code))
      }),
    )
    expect([...codes]).toEqual(['invalid_token'])
    expect(await authenticate(await sign({ header: { fresh: true } }))).toMatchObject(ok)
    expect(fetches() - before).toBe(1)
    clock.advance(29)
    await refusal(() => authenticate(flood[0] ?? ''))
    expect(fetches() - before).toBe(1)
    clock.advance(1)
    await refusal(() => authenticate(flood[0] ?? ''))
    expect(fetches() - before).toBe(2)
  })

  test('are had anew when our clock was set back: how old they are is not known then', async () => {
    const { authenticate } = pool()
    await authenticate(await sign())
    await server.rotate()
    clock.advance(-3600)
    const before = fetches()
    expect(await authenticate(await server.sign({ sub: 'x', aud: ourIssuer }))).toMatchObject(ok)
    expect(fetches() - before).toBe(1)
  })

  test('are loaded again when half of a short max_stale is over, so that one failed load is no outage', async () => {
    const { authenticate } = pool({ max_stale: '1m' })
    const token = await sign()
    await authenticate(token)
    clock.advance(29)
    await authenticate(token)
    expect(fetches()).toBe(1)
    clock.advance(1)
    await authenticate(token)
    expect(fetches()).toBe(2)
  })

  test('that are new are found after the cool-down, and those rotated out stop with it', async () => {
    const { authenticate } = pool()
    const old = await sign()
    await authenticate(old)
    await server.rotate()
    clock.advance(31)
    expect(await authenticate(await sign())).toMatchObject(ok)
    expect(await refusalText(() => authenticate(old), old)).toMatch(/no usable key named kid "es256-1"/)
  })

  test('that were rotated out stop at the next refresh without any new one being seen', async () => {
    const { authenticate } = pool()
    const old = await sign()
    await authenticate(old)
    await server.rotate()
    clock.advance(299)
    expect(await authenticate(old)).toMatchObject(ok)
    clock.advance(1)
    expect(await refusalText(() => authenticate(old), old)).toMatch(/no usable key/)
  })

  test.each<Behaviour>(['down', 'hang', 'drip', 'huge', 'redirect', 'garbage', 'error', 'gzip'])(
    'that are known serve until max_stale while the issuer is %s; then 503, and it recovers by itself',
    async (behaviour) => {
      // Where the time-out is what ends the wait it is still longer than a busy machine stands still.
      const fetchTimeoutMs = behaviour === 'hang' || behaviour === 'drip' ? 4000 : 30_000
      const { authenticate, find } = pool({ max_stale: '1h' }, { fetchTimeoutMs, softWaitMs: undefined })
      const token = await sign()
      await authenticate(token)
      server.behave(behaviour)
      clock.advance(3599)
      expect(await authenticate(token)).toMatchObject(ok)
      const stranger = await sign({ kid: 'new' })
      expect(await refusal(() => authenticate(stranger), stranger)).toMatchObject({ code: 'issuer_unavailable' })
      clock.advance(1)
      const unavailable = await refusal(() => authenticate(token), token)
      expect(unavailable).toMatchObject({ code: 'issuer_unavailable', detail: expect.stringContaining('"ci"') })
      expect(unavailable.retryAfterSeconds).toBeGreaterThanOrEqual(1)
      expect(unavailable.retryAfterSeconds).toBeLessThanOrEqual(5)
      expect(find('ci').status().lastError).toMatch(/127\.0\.0\.1/)
      server.behave('well')
      clock.advance(5)
      expect(await authenticate(token)).toMatchObject(ok)
      expect(find('ci').status()).toMatchObject({ keysFetchedAt: clock.now(), lastError: null, skippedKeys: [] })
    },
  )

  test('that could never be had are a 503 with Retry-After, asked for again only after it', async () => {
    server.behave('down')
    const { authenticate } = pool()
    const token = await sign()
    const codes = async () =>
      (await Promise.all([1, 2, 3].map(() => refusal(() => authenticate(token))))).map((e) => e.code)
    expect(await codes()).toEqual(Array(3).fill('issuer_unavailable'))
    expect(await codes()).toEqual(Array(3).fill('issuer_unavailable'))
    expect(server.requests).toHaveLength(1)
  })

  test('slow callers down for a second at most when the issuer hangs', async () => {
    const { authenticate } = pool({}, { fetchTimeoutMs: 60_000, softWaitMs: undefined })
    const token = await sign()
    await authenticate(token)
    server.behave('hang')
    clock.advance(600)
    const start = performance.now()
    expect(await authenticate(token)).toMatchObject(ok)
    expect(performance.now() - start).toBeLessThan(30_000)
  })

  test('answered as an object without keys are an empty set: the caller’s 401', async () => {
    const { authenticate } = pool({ jwks: { uri: `${server.issuer}/jwks` } })
    const token = await sign()
    await authenticate(token)
    server.behave('empty')
    clock.advance(300)
    expect(await refusalText(() => authenticate(token), token)).toMatch(/^invalid_token .*no usable key/)
  })

  test('are not spoiled by broken ones, which are named for operators', async () => {
    server.extraKeys.push(null, { kty: 'RSA', kid: 'es256-1', n: 'AQAB', e: 'AQAB' }, { kty: 'EC', crv: 'P-256' })
    const { authenticate, find } = pool()
    expect(await authenticate(await sign())).toMatchObject(ok)
    expect(find('ci').status().skippedKeys).toHaveLength(3)
    expect(await find('ci').refresh()).toBe(1)
  })
})

describe('discovery', () => {
  test('is asked for without the last slash of the issuer, and has to name it with it', async () => {
    const issuer = `${server.issuer}/`
    const { authenticate, find } = createPool({ ci: { type: 'oidc', issuer } }, { clock })
    await expect(find('ci').refresh()).rejects.toThrow(/names the issuer/)
    server.discovery.issuer = issuer
    await find('ci').refresh()
    expect(new Set(server.requests)).toEqual(new Set(['/.well-known/openid-configuration', '/jwks']))
    expect(await authenticate(await server.sign({ iss: issuer, sub: 'x', aud: ourIssuer }))).toMatchObject(ok)
  })

  test('follows a moved jwks_uri once the old one fails', async () => {
    const other = await startOidcIssuer({ clock })
    server.discovery.jwks_uri = `${other.issuer}/nothing-here`
    const { authenticate } = pool()
    expect((await refusal(async () => authenticate(await sign()))).code).toBe('issuer_unavailable')
    server.discovery.jwks_uri = undefined
    delete server.discovery.jwks_uri
    clock.advance(5)
    expect(await authenticate(await sign())).toMatchObject(ok)
    await other.stop()
  })
})

describe('a name that resolves to a private address', () => {
  const resolveHost = async () => [{ address: '127.0.0.1', family: 4 }]
  const named = (extra: object) =>
    createPool({ far: { type: 'oidc', issuer: 'https://issuer.test', ...extra } }, { clock, resolveHost })

  test('is refused before anything connects', async () => {
    const uri = `https://issuer.test:${new URL(server.issuer).port}/jwks`
    await expect(named({ jwks: { uri } }).find('far').refresh()).rejects.toThrow(/issuer.test resolves to an address/)
    await expect(named({}).find('far').refresh()).rejects.toThrow(/issuer.test resolves to an address/)
    expect(server.requests).toEqual([])
  })

  test('is refused when only one of its addresses is', async () => {
    const mixed = async () => [{ address: '8.8.8.8', family: 4 }, ...(await resolveHost())]
    const { find } = createPool({ far: { type: 'oidc', issuer: 'https://issuer.test' } }, { clock, resolveHost: mixed })
    await expect(find('far').refresh()).rejects.toThrow(/resolves to an address that is not public/)
  })

  test('is connected to when configured, at the very address that was checked', async () => {
    const uri = `https://issuer.test:${new URL(server.issuer).port}/jwks`
    // The server speaks no TLS: that the handshake fails shows that the connection was made.
    await expect(named({ jwks: { uri }, allow_private_addresses: true }).find('far').refresh()).rejects.toThrow(
      /SSL|TLS/i,
    )
  })
})

describe('a JWKS file', () => {
  test('is read again when it changes, and the last good one stays over a broken one', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'jwks-'))
    const file = join(directory, 'jwks.json')
    const publish = async () => {
      const text = await (await fetch(`${server.issuer}/jwks`)).text()
      await writeFile(`${file}.new`, text)
      await rename(`${file}.new`, file)
      clock.advance(2)
    }
    const { authenticate } = pool({ jwks: { file: 'jwks.json' }, max_stale: '1m' }, { directory })
    expect((await refusal(async () => authenticate(await sign()))).code).toBe('issuer_unavailable')
    await publish()
    const old = await sign()
    expect(await authenticate(old)).toMatchObject(ok)
    await server.rotate()
    await publish()
    expect(await authenticate(await sign())).toMatchObject(ok)
    expect(await refusalText(() => authenticate(old), old)).toMatch(/no usable key/)
    await writeFile(file, '{"keys": [')
    clock.advance(58)
    expect(await authenticate(await sign())).toMatchObject(ok)
    clock.advance(2)
    expect((await refusal(async () => authenticate(await sign()))).code).toBe('issuer_unavailable')
    await writeFile(file, '{"keys": []}')
    clock.advance(2)
    expect(await refusalText(async () => authenticate(await sign()))).toMatch(/^invalid_token .*no usable key/)
    await rm(directory, { recursive: true })
  })
})
