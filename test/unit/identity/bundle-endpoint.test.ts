import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { refreshSecondsOf } from '../../../src/identity/bundle-endpoint.js'
import { createManualClock, createPool, fixturePath, readFixture, refusal, refusalText } from './identity-fixtures.js'

const serverId = 'spiffe://prod.acme.example/ns/ci/sa/deployer'
const deployer = readFixture('spire/prod/ns_ci_sa_deployer.jwt')
const staging = readFixture('spire/staging/deployer.jwt')
const rotated = readFixture('spire/staging/deployer-after-rotation.jwt')
const bundleOf = (name: string, extra: object = {}) => ({ ...JSON.parse(readFixture(`spire/${name}.json`)), ...extra })
const pem = (name: string) => readFileSync(fixturePath(`spire/${name}`), 'utf8')

let folder: string
let answer: { status: number; body: string; headers?: Record<string, string> }
let asked: number
const servers: Server[] = []
let clock = createManualClock()

const publish = (bundle: unknown) => {
  answer = { status: 200, body: JSON.stringify(bundle) }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'endpoint-'))
})
beforeEach(() => {
  clock = createManualClock()
  asked = 0
})
afterEach(async () => {
  await Promise.all(servers.splice(0).map((one) => new Promise((resolve) => one.close(resolve))))
})
afterAll(() => rm(folder, { recursive: true }))

/** Serves `answer`, over TLS when there is a certificate; answers the URL. */
async function serve(tls: { cert: string; key: string } | null): Promise<string> {
  const listener: Parameters<typeof createHttpServer>[1] = (_request, response) => {
    asked += 1
    response.writeHead(answer.status, answer.headers).end(answer.body)
  }
  const server = tls === null ? createHttpServer(listener) : createServer(tls, listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `${tls === null ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}/bundle`
}

const issuer = (trustDomain: string, bundle: object, extra: object = {}) => ({
  type: 'spiffe',
  trust_domain: `${trustDomain}.acme.example`,
  bundle,
  ...extra,
})
const report = (told: string[]) => (name: string, problem: string) => told.push(`${name}: ${problem}`)

describe('a bundle endpoint of the web’s PKI', () => {
  const onStaging = (endpoint: string, extra: object = {}, deps: object = {}) =>
    createPool({ staging: issuer('staging', { endpoint, profile: 'https_web' }, extra) }, { clock, ...deps })

  test('gives keys, a rotation within the cool-down, and an end to all', async () => {
    const { authenticate, find } = onStaging(await serve(null))
    publish(bundleOf('staging/bundle'))
    expect(await authenticate(staging)).toMatchObject({ issuer: 'staging' })
    publish(bundleOf('staging/bundle-rotating'))
    expect(await refusalText(() => authenticate(rotated), rotated)).toMatch(/no usable JWT key named/)
    clock.advance(30)
    expect(await authenticate(rotated)).toMatchObject({ issuer: 'staging' })
    publish({ keys: [] })
    clock.advance(301)
    expect(await refusalText(() => authenticate(staging), staging)).toMatch(/^invalid_token .*no usable JWT key/)
    expect(find('staging').status()).toMatchObject({ lastError: null, keysFetchedAt: clock.now() })
  })

  test('is asked as often as its hint says', async () => {
    const { authenticate } = onStaging(await serve(null))
    publish(bundleOf('staging/bundle', { spiffe_refresh_hint: 60 }))
    await authenticate(staging)
    clock.advance(59)
    await authenticate(staging)
    expect(asked).toBe(1)
    clock.advance(1)
    await authenticate(staging)
    expect(asked).toBe(2)
  })

  test('that answers an older sequence than before is not believed, and that is told once', async () => {
    const told: string[] = []
    const { authenticate, find } = onStaging(await serve(null), { max_stale: '10m' }, { report: report(told) })
    publish(bundleOf('staging/bundle', { spiffe_sequence: 7 }))
    expect(await authenticate(staging)).toMatchObject({ issuer: 'staging' })
    // The replayed bundle has a key that the newer one took out.
    publish(bundleOf('staging/bundle-rotating', { spiffe_sequence: 6 }))
    await expect(find('staging').refresh()).rejects.toThrow(/answered bundle 6 \(spiffe_sequence\) after bundle 7/)
    await expect(find('staging').refresh()).rejects.toThrow(/the newer one stays/)
    expect((await refusal(() => authenticate(rotated))).code).toBe('issuer_unavailable')
    expect(await authenticate(staging)).toMatchObject({ issuer: 'staging' })
    expect(told).toEqual([expect.stringMatching(/^staging: http.*after bundle 7/)])
    // It does not count as fresh either.
    clock.advance(600)
    expect((await refusal(() => authenticate(staging))).code).toBe('issuer_unavailable')
    publish(bundleOf('staging/bundle-rotating', { spiffe_sequence: 7 }))
    clock.advance(5)
    expect(await authenticate(rotated)).toMatchObject({ issuer: 'staging' })
  })

  test.each<[string, typeof answer]>([
    ['an error', { status: 500, body: '{}' }],
    ['a redirect', { status: 302, body: '', headers: { location: 'http://127.0.0.1:1/' } }],
    ['no JSON', { status: 200, body: '<html>' }],
    ['no object', { status: 200, body: '[]' }],
    ['too much', { status: 200, body: JSON.stringify({ keys: ['x'.repeat(300_000)] }) }],
  ])('that answers %s leaves the known keys until they are stale', async (_, wrong) => {
    const { authenticate } = onStaging(await serve(null), { max_stale: '10m' })
    publish(bundleOf('staging/bundle'))
    await authenticate(staging)
    answer = wrong
    clock.advance(599)
    expect(await authenticate(staging)).toMatchObject({ issuer: 'staging' })
    clock.advance(6)
    expect((await refusal(() => authenticate(staging))).code).toBe('issuer_unavailable')
  })

  test('is reached at public addresses only, unless told', async () => {
    const section = (extra: object) => ({
      far: issuer('staging', { endpoint: 'https://bundle.test:1/', profile: 'https_web' }, extra),
    })
    const deps = { clock, resolveHost: async () => [{ address: '127.0.0.1', family: 4 }] }
    await expect(createPool(section({}), deps).find('far').refresh()).rejects.toThrow(/is not public/)
    const allowed = createPool(section({ allow_private_addresses: true }), deps)
    await expect(allowed.find('far').refresh()).rejects.toThrow(/ECONNREFUSED/)
  })

  test('over TLS must have a certificate of the web’s PKI, or of the CA that is named, for its own name', async () => {
    const own = makeCertificate(folder)
    publish(bundleOf('prod/bundle'))
    const at = async (tls: { cert: string; key: string }, ca?: string) => {
      const endpoint = await serve(tls)
      return createPool({ prod: issuer('prod', { endpoint, profile: 'https_web', ...(ca && { ca }) }) }, { clock })
    }
    expect(await (await at(own, own.cert)).authenticate(deployer)).toMatchObject({ issuer: 'prod' })
    await expect((await at(own)).find('prod').refresh()).rejects.toThrow(/self-signed/)
    const svid = { cert: pem('prod/x509/svid.pem'), key: pem('prod/x509/key.pem') }
    await expect((await at(svid, pem('prod/x509/bundle.pem'))).find('prod').refresh()).rejects.toThrow(/altnames/)
  })
})

describe('a bundle endpoint known by its X.509-SVID', () => {
  const svid = () => ({ cert: pem('prod/x509/svid.pem'), key: pem('prod/x509/key.pem') })
  const onProd = (endpoint: string, extra: object = {}, deps: object = {}) => {
    const bundle = { endpoint, profile: 'https_spiffe', endpoint_spiffe_id: serverId, file: 'spire/prod/bundle.json' }
    return createPool({ prod: issuer('prod', { ...bundle, ...extra }) }, { clock, ...deps })
  }

  test('is believed with exactly that SPIFFE ID, by the bundle in the file', async () => {
    const endpoint = await serve(svid())
    publish(bundleOf('prod/bundle'))
    expect(await onProd(endpoint).authenticate(deployer)).toMatchObject({ issuer: 'prod' })
    for (const id of [`${serverId}x`, serverId.slice(0, -1), 'spiffe://prod.acme.example/spire/server']) {
      await expect(onProd(endpoint, { endpoint_spiffe_id: id }).find('prod').refresh()).rejects.toThrow(
        `the server is URI:${serverId}, expected ${id}`,
      )
    }
    expect(asked).toBe(1)
  })

  test('of another trust domain is nobody, whatever it answers', async () => {
    const endpoint = await serve({ cert: pem('staging/x509/svid.pem'), key: pem('staging/x509/key.pem') })
    publish(bundleOf('prod/bundle'))
    await expect(onProd(endpoint).find('prod').refresh()).rejects.toThrow(/certificate/)
    const crossed = onProd(endpoint, { file: 'spire/staging/bundle.json' })
    await expect(crossed.find('prod').refresh()).rejects.toThrow(/expected spiffe:\/\/prod.acme.example/)
    expect(asked).toBe(0)
  })

  test('is known by the newest bundle: authorities that are gone know nobody, and never the system’s', async () => {
    const file = join(folder, 'first.json')
    await copyFile(fixturePath('spire/prod/bundle.json'), file)
    const { authenticate, find } = onProd(await serve(svid()), { file })
    const jwtOnly = bundleOf('prod/bundle').keys.filter((key: { use: string }) => key.use === 'jwt-svid')
    publish({ keys: jwtOnly, spiffe_sequence: 9 })
    expect(await authenticate(deployer)).toMatchObject({ issuer: 'prod' })
    await expect(find('prod').refresh()).rejects.toThrow(/no X.509 authority to know its endpoint by/)
    // The operator's way back: another file, also with a lower sequence.
    publish(bundleOf('prod/bundle'))
    await writeFile(file, JSON.stringify(bundleOf('prod/bundle', { spiffe_sequence: 1, note: 'set up anew' })))
    expect(await find('prod').refresh()).toBe(1)
  })

  test('is not believed with an older bundle than the file', async () => {
    const file = join(folder, 'newer.json')
    await writeFile(file, JSON.stringify(bundleOf('prod/bundle', { spiffe_sequence: 4 })))
    publish(bundleOf('prod/bundle', { spiffe_sequence: 3 }))
    const { find } = onProd(await serve(svid()), { file })
    await expect(find('prod').refresh()).rejects.toThrow(/answered bundle 3 .* after bundle 4/)
  })

  test('does not make the file’s keys count: they are only to know it by', async () => {
    const told: string[] = []
    const { authenticate } = onProd('https://127.0.0.1:1/', {}, { report: report(told) })
    expect((await refusal(() => authenticate(deployer))).code).toBe('issuer_unavailable')
    expect(told).toEqual([expect.stringMatching(/^prod: https:\/\/127.0.0.1:1\/: .*ECONNREFUSED/)])
  })
})

test.each([
  [null, 3600, 300],
  [0, 3600, 30],
  [45, 3600, 45],
  [86_400, 86_400, 3600],
  [3600, 600, 300],
])('a hint of %p seconds with max_stale %p is a fetch each %p', (hint, maxStale, expected) => {
  const bundle = { jwtKeys: { keys: [], skipped: [] }, x509Authorities: [], sequence: null, refreshHintSeconds: hint }
  expect(refreshSecondsOf(bundle, maxStale)).toBe(expected)
})

/** A certificate for 127.0.0.1 that signs itself. */
function makeCertificate(into: string): { cert: string; key: string } {
  const [key, cert] = [join(into, 'key.pem'), join(into, 'cert.pem')]
  const subject = ['-subj', '/CN=endpoint', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '3650']
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'pipe',
  })
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}
