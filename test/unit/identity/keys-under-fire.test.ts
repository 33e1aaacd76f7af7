// What an issuer, or whoever answers in its name, cannot make a broker do: real servers, and names that change their minds.
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { fetchJson } from '../../../src/identity/remote-document.js'
import {
  createManualClock,
  createPool,
  type ManualClock,
  ourIssuer,
  refusal,
  unsignedToken,
} from './identity-fixtures.js'

const opened: Server[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function listen(answer: RequestListener, host = '127.0.0.1', port = 0): Promise<number> {
  const server = createServer(answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  opened.push(server)
  return (server.address() as AddressInfo).port
}

const bounds = {
  addresses: 'loopback',
  timeoutMs: 30_000,
  maxBytes: 10_000,
  resolveHost: async () => [{ address: '127.0.0.1', family: 4 }],
} as const

describe('a name that changes its answer between check and use', () => {
  test('is connected to at the very address that was checked, and looked up once', async () => {
    let stolen = 0
    const port = await listen((_, response) => response.end('{"who":"checked"}'))
    await listen((_, response) => response.end(`{"who":"thief","times":${++stolen}}`), '127.0.0.2', port)
    let asked = 0
    // The first answer is allowed, and every later one leads elsewhere.
    const resolveHost = async () => [{ address: ++asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]
    const url = `http://localhost:${port}/jwks`
    expect(await fetchJson(url, { ...bounds, resolveHost })).toEqual({ who: 'checked' })
    expect({ asked, stolen }).toEqual({ asked: 1, stolen: 0 })
    // The counterpart: the thief's server can be reached, so that not reaching it means something.
    expect(await fetchJson(url, { ...bounds, resolveHost })).toMatchObject({ who: 'thief' })
  })

  test('is checked anew for each fetch: no connection outlives its check', async () => {
    let connections = 0
    const port = await listen((_, response) => response.end('{}'))
    opened[0]?.on('connection', () => {
      connections += 1
    })
    const answers = ['127.0.0.1', '127.0.0.1', '169.254.169.254']
    const resolveHost = async () => [{ address: answers.shift() ?? '', family: 4 }]
    const again = () => fetchJson(`http://localhost:${port}/jwks`, { ...bounds, resolveHost })
    await again()
    await again()
    await expect(again()).rejects.toThrow(/resolves to an address that is not public/)
    expect(connections).toBe(2)
  })
})

describe('a URL', () => {
  test.each([
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'https://127.1/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::]/',
    'https://0/',
    'https://[64:ff9b::7f00:1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://100.64.0.1/',
  ])('%s is refused in every spelling, before anything connects', async (url) => {
    let resolved = 0
    const resolveHost = async () => {
      resolved += 1
      return []
    }
    const fetching = fetchJson(url, { ...bounds, addresses: 'public', resolveHost })
    await expect(fetching).rejects.toThrow(/not public|neither https/)
    expect(resolved).toBe(0)
  })

  test.each([
    'http://issuer.example/jwks',
    'https://user:pass@issuer.example/',
    'ftp://127.0.0.1/',
    'data:,{}',
    '//x',
    '',
  ])('%p is not fetched', async (url) => {
    await expect(fetchJson(url, { ...bounds, addresses: 'any' })).rejects.toThrow(/neither https/)
  })
})

describe('an answer', () => {
  const types = async (type: string | undefined) => {
    const port = await listen((_, response) => {
      if (type !== undefined) response.setHeader('content-type', type)
      response.end('{"keys":[]}')
    })
    return fetchJson(`http://localhost:${port}/`, bounds)
  }

  test.each([
    'application/json; charset=utf-8',
    'application/jwk-set+json',
    'Application/JSON',
    'binary/octet-stream',
    undefined,
  ])('of content type %p is read', async (type) => expect(await types(type)).toEqual({ keys: [] }))

  test.each([
    'text/html',
    'text/plain',
    'application/javascript',
    'image/png',
    'application/xml',
    'application/jsonp',
    '',
  ])('of content type %p is not', async (type) => expect(types(type)).rejects.toThrow(/content type that is not JSON/))

  test.each(['gzip', 'br', 'deflate', 'identity, gzip'])('in %s is not unpacked', async (encoding) => {
    const port = await listen((_, response) => {
      response.writeHead(200, { 'content-encoding': encoding }).end('{}')
    })
    await expect(fetchJson(`http://localhost:${port}/`, bounds)).rejects.toThrow(/compressed/)
  })

  test.each([201, 204, 206, 301, 303, 307, 308, 401, 404, 503])(
    'with status %d is none, and leads nowhere',
    async (status) => {
      let elsewhere = 0
      const port = await listen((request, response) => {
        if (request.url !== '/') elsewhere += 1
        response.writeHead(status, { location: '/other' }).end(status === 204 ? undefined : '{"keys":[]}')
      })
      await expect(fetchJson(`http://localhost:${port}/`, bounds)).rejects.toThrow(`answered ${status}`)
      expect(elsewhere).toBe(0)
    },
  )
})

describe('keys', () => {
  let clock: ManualClock
  let server: OidcIssuer
  beforeEach(async () => {
    clock = createManualClock()
    server = await startOidcIssuer({ clock })
  })
  afterEach(() => server.stop())
  const create = (extra: object = {}, deps: object = {}) =>
    createPool({ ci: { type: 'oidc', issuer: server.issuer, ...extra } }, { clock, ...deps })
  const sign = (options = {}) => server.sign({ sub: 'x', aud: ourIssuer, exp: clock.now() / 1000 + 86_400 }, options)

  test.each(['max-age=31536000, immutable', 'no-store', 'max-age=0, must-revalidate', 'max-age=-1'])(
    'are refreshed by our own bounds, whatever the issuer says of caches (%s)',
    async (control) => {
      let fetches = 0
      const jwks = await (await fetch(`${server.issuer}/jwks`)).text()
      const port = await listen((_, response) => {
        fetches += 1
        response.writeHead(200, { 'cache-control': control, expires: 'Thu, 01 Jan 2099 00:00:00 GMT' }).end(jwks)
      })
      const { authenticate } = create({ jwks: { uri: `http://127.0.0.1:${port}/jwks` } })
      for (const seconds of [0, 1, 298, 1]) {
        clock.advance(seconds)
        await authenticate(await sign())
      }
      expect(fetches).toBe(2)
    },
  )

  test('are asked for once, however many wait for an issuer that hangs', async () => {
    server.behave('hang')
    const { authenticate } = create({}, { fetchTimeoutMs: 5000 })
    const claims = { iss: server.issuer, sub: 'x', aud: ourIssuer, exp: clock.now() / 1000 + 60 }
    const waiting = Array.from({ length: 1000 }, (_, i) => unsignedToken(claims, { alg: 'ES256', kid: `${i}` }))
    const refusals = await Promise.all(waiting.map((token) => authenticate(token).catch((error: unknown) => error)))
    expect(refusals).toEqual(Array(1000).fill(expect.objectContaining({ code: 'issuer_unavailable' })))
    expect(server.requests).toHaveLength(1)
  })

  test('are had by several brokers that started while the issuer was down, once it is back, by themselves', async () => {
    server.behave('down')
    const brokers = Array.from({ length: 4 }, () => create())
    const token = await sign()
    for (const { authenticate } of brokers) {
      const refused = await refusal(() => authenticate(token), token)
      expect(refused).toMatchObject({ code: 'issuer_unavailable', retryAfterSeconds: expect.any(Number) })
      clock.advance(1)
    }
    server.behave('well')
    // Each within the Retry-After that it gave: five seconds at most.
    clock.advance(4)
    for (const { authenticate, find } of brokers) {
      expect(await authenticate(token)).toMatchObject({ id: 'ci:x' })
      expect(find('ci').status().lastError).toBeNull()
    }
  })

  test('verify only what the configuration allows, whatever discovery advertises', async () => {
    const rsa = await startOidcIssuer({ clock, algorithms: ['RS256', 'ES256'] })
    const advertised = ['none', 'HS256', 'RS256', 'ES256', 'PS512']
    Object.assign(rsa.discovery, { id_token_signing_alg_values_supported: advertised })
    const { authenticate } = createPool({ ci: { type: 'oidc', issuer: rsa.issuer, algorithms: ['ES256'] } }, { clock })
    const claims = { sub: 'x', aud: ourIssuer }
    expect(await authenticate(await rsa.sign(claims, { alg: 'ES256' }))).toMatchObject({ id: 'ci:x' })
    const other = await rsa.sign(claims, { alg: 'RS256' })
    expect((await refusal(() => authenticate(other), other)).detail).toMatch(/alg "RS256" is not allowed/)
    for (const alg of ['none', 'HS256']) {
      const token = unsignedToken({ iss: rsa.issuer, exp: clock.now() / 1000 + 60, ...claims }, { alg })
      expect((await refusal(() => authenticate(token), token)).code).toBe('invalid_token')
    }
    await rsa.stop()
  })
})
