import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startWorkloadApi, type WorkloadApiServer } from '../../../scripts/servers/stand-ins/workload-api.js'
import type { SpiffeIssuer } from '../../../src/identity/spiffe-issuer.js'
import { createManualClock, createPool, readFixture, refusal, refusalText } from './identity-fixtures.js'

const ids = { prod: 'spiffe://prod.acme.example', staging: 'spiffe://staging.acme.example' }
const deployer = readFixture('spire/prod/ns_ci_sa_deployer.jwt')
const [stagingToken, rotatedToken] = [
  readFixture('spire/staging/deployer.jwt'),
  readFixture('spire/staging/deployer-after-rotation.jwt'),
]

interface Jwk {
  use?: string
  x5c?: string[]
}
const entries = (name: string) => (JSON.parse(readFixture(`spire/${name}.json`)) as { keys: Jwk[] }).keys
/** As SPIRE's agent gives them: JWT keys without their use, certificates as DER. */
const jwks = (name: string) =>
  JSON.stringify({ keys: entries(name).flatMap(({ use, ...key }) => (use === 'jwt-svid' ? [key] : [])) })
const ders = (name: string) =>
  Buffer.concat(entries(name).flatMap(({ x5c }) => (x5c ?? []).map((one) => Buffer.from(one, 'base64'))))
const all = {
  jwt: { [ids.prod]: jwks('prod/bundle'), [ids.staging]: jwks('staging/bundle') },
  x509: { [ids.prod]: ders('prod/bundle'), [ids.staging]: ders('staging/bundle') },
}

let folder: string
let agent: WorkloadApiServer
const clock = createManualClock()
const pools: { close(): void }[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-'))
  agent = await startWorkloadApi(join(folder, 'agent.sock'), all)
})

afterEach(async () => {
  for (const one of pools.splice(0)) one.close()
  agent.stop()
  await rm(folder, { recursive: true })
})

const entry = (domain: 'prod' | 'staging', extra: object = {}) => ({
  type: 'spiffe',
  trust_domain: `${domain}.acme.example`,
  bundle: { workload_api: `unix://${folder}/agent.sock` },
  max_stale: '10m',
  ...extra,
})

function pool(domains: readonly ('prod' | 'staging')[] = ['prod', 'staging'], deps: object = {}) {
  const made = createPool(Object.fromEntries(domains.map((name) => [name, entry(name)])), { clock, ...deps })
  pools.push(made)
  return made
}

/** Streams come when they come: asks until it is so, or fails with what was seen last. */
async function eventually<T>(look: () => Promise<T> | T, expected: (value: T) => void): Promise<void> {
  // Whoever was away is asked again after 15 s at most.
  const until = Date.now() + 60_000
  for (;;) {
    const value = await look()
    try {
      expected(value)
      return
    } catch (error) {
      if (Date.now() > until) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const outcome = (run: () => Promise<{ issuer: string }>) =>
  run().then(
    ({ issuer }) => issuer,
    (error: { code: string }) => error.code,
  )

describe('bundles of the Workload API', () => {
  test('verify tokens of each trust domain, over one socket', async () => {
    const { authenticate, find } = pool()
    expect(await authenticate(deployer)).toMatchObject({ id: `prod:${ids.prod}/ns/ci/sa/deployer` })
    expect(await authenticate(stagingToken)).toMatchObject({ issuer: 'staging' })
    expect(await find('prod').refresh()).toBe(1)
    expect(find('prod').status()).toEqual({
      keysFetchedAt: clock.now(),
      lastError: null,
      skippedKeys: [],
      usableKeys: [expect.stringMatching(/^".+" \(ES256\)$/)],
    })
    const bundle = await (find('prod') as SpiffeIssuer).bundle.current()
    expect(bundle.x509Authorities.map(({ subjectAltName }) => subjectAltName)).toEqual([`URI:${ids.prod}`])
    expect(bundle.jwtKeys.keys).toHaveLength(1)
  })

  test('never cross: a bundle under another domain’s name verifies nothing of ours', async () => {
    agent.publish({ ...all, jwt: { [ids.prod]: jwks('staging/bundle'), [ids.staging]: jwks('prod/bundle') } })
    const { authenticate } = pool()
    expect(await refusalText(() => authenticate(deployer), deployer)).toMatch(/^invalid_token .*no usable JWT key/)
  })

  test('are replaced by each update: a new key is taken, one that is gone ends, no keys revoke all', async () => {
    const { authenticate } = pool()
    expect(await authenticate(stagingToken)).toMatchObject({ issuer: 'staging' })
    expect(await refusalText(() => authenticate(rotatedToken), rotatedToken)).toMatch(/no usable JWT key named/)
    agent.publish({ ...all, jwt: { ...all.jwt, [ids.staging]: jwks('staging/bundle-rotating') } })
    await eventually(
      () => outcome(() => authenticate(rotatedToken)),
      (seen) => expect(seen).toBe('staging'),
    )
    agent.publish({ ...all, jwt: { ...all.jwt, [ids.staging]: '{"keys":[]}' } })
    await eventually(
      () => outcome(() => authenticate(rotatedToken)),
      (seen) => expect(seen).toBe('invalid_token'),
    )
    expect(await refusalText(() => authenticate(stagingToken), stagingToken)).toMatch(
      /^invalid_token .*no usable JWT key/,
    )
    expect(agent.opened).toEqual({ FetchJWTBundles: 1, FetchX509Bundles: 1 })
  })

  test('that no longer name the trust domain revoke all, and say so', async () => {
    const { authenticate, find } = pool(['prod'])
    expect(await authenticate(deployer)).toMatchObject({ issuer: 'prod' })
    agent.publish({ jwt: { [ids.staging]: jwks('staging/bundle') }, x509: {} })
    await eventually(
      () => outcome(() => authenticate(deployer)),
      (seen) => expect(seen).toBe('invalid_token'),
    )
    expect(find('prod').status().skippedKeys).toEqual(['the Workload API has no bundle of prod.acme.example'])
    const { bundle } = find('prod') as SpiffeIssuer
    await eventually(
      () => bundle.current(),
      ({ x509Authorities }) => expect(x509Authorities).toEqual([]),
    )
  })

  test('that cannot be read leave the last ones', async () => {
    const { authenticate, find } = pool(['prod'])
    expect(await authenticate(deployer)).toMatchObject({ issuer: 'prod' })
    agent.publish({ ...all, jwt: { [ids.prod]: '{"keys": [' } })
    await eventually(
      () => find('prod').status().lastError,
      (seen) => expect(seen).toMatch(/the bundle is not JSON/),
    )
    expect(await authenticate(deployer)).toMatchObject({ issuer: 'prod' })
  })
})

describe('an agent that goes away', () => {
  test('leaves its last bundle for max_stale, then nobody is taken until it is back', async () => {
    const told: string[] = []
    const { authenticate, find } = pool(['staging'], {
      report: (issuer: string, problem: string) => told.push(`${issuer} ${problem}`),
    })
    expect(await authenticate(stagingToken)).toMatchObject({ issuer: 'staging' })
    // A stream that stands is current, however long it is silent.
    clock.advance(3600)
    expect(await authenticate(stagingToken)).toMatchObject({ issuer: 'staging' })
    agent.stop()
    await eventually(
      () => find('staging').status().lastError,
      // The two streams end one after the other, and it is the one with the JWT keys that counts here.
      (seen) => expect(seen).toMatch(/FetchJWTBundles/),
    )
    clock.advance(599)
    expect(await authenticate(stagingToken)).toMatchObject({ issuer: 'staging' })
    // Its key may be new, and nobody tells: not the caller's fault.
    expect((await refusal(() => authenticate(rotatedToken))).code).toBe('issuer_unavailable')
    clock.advance(1)
    expect(await refusal(() => authenticate(stagingToken))).toMatchObject({
      code: 'issuer_unavailable',
      retryAfterSeconds: 5,
    })
    await expect(find('staging').refresh()).rejects.toThrow(/FetchJWTBundles/)
    agent = await startWorkloadApi(join(folder, 'agent.sock'), {
      ...all,
      jwt: { [ids.staging]: jwks('staging/bundle-rotating') },
    })
    await eventually(
      () => outcome(() => authenticate(rotatedToken)),
      (seen) => expect(seen).toBe('staging'),
    )
    await eventually(
      () => find('staging').status().lastError,
      (seen) => expect(seen).toBeNull(),
    )
    expect(told[0]).toMatch(/^staging unix:.*agent.sock Fetch(JWT|X509)Bundles: /)
  })

  test('and was never there is a 503 at once, and found by itself when it comes', async () => {
    agent.stop()
    const { authenticate } = pool(['prod'])
    expect((await refusal(() => authenticate(deployer))).code).toBe('issuer_unavailable')
    agent = await startWorkloadApi(join(folder, 'agent.sock'), all)
    await eventually(
      () => outcome(() => authenticate(deployer)),
      (seen) => expect(seen).toBe('prod'),
    )
  })

  test('or ends the stream, or refuses it for a while, is asked again', async () => {
    const { authenticate, find } = pool(['prod'])
    expect(await authenticate(deployer)).toMatchObject({ issuer: 'prod' })
    agent.refuse({ code: status.PERMISSION_DENIED, details: 'no identity issued' })
    await eventually(
      () => find('prod').status().lastError,
      (seen) => expect(seen).toMatch(/no identity issued/),
    )
    expect(await authenticate(deployer)).toMatchObject({ issuer: 'prod' })
    agent.refuse(null)
    await eventually(
      () => find('prod').status().lastError,
      (seen) => expect(seen).toBeNull(),
    )
    expect(agent.opened.FetchJWTBundles).toBeGreaterThan(1)
  })

  test('is not asked again after close', async () => {
    const { authenticate, close } = pool(['prod'])
    await authenticate(deployer)
    close()
    const { FetchJWTBundles } = agent.opened
    agent.refuse(null)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(agent.opened.FetchJWTBundles).toBe(FetchJWTBundles)
  })
})

test('the server of these tests demands the mark that keeps others out', async () => {
  const client = new Client(agent.socket, credentials.createInsecure())
  const error = await new Promise<{ code: number }>((resolve) => {
    const empty = () => Buffer.alloc(0)
    client
      .makeServerStreamRequest('/SpiffeWorkloadAPI/FetchJWTBundles', empty, empty, {}, new Metadata())
      .on('error', resolve)
      .resume()
  })
  client.close()
  expect(error.code).toBe(status.INVALID_ARGUMENT)
})
