// Every way in which an issuer's server can fail: each is an outage (503, never the caller's 401), is named for operators,
// costs no more than its bounds, and is over by itself.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Misbehaviour } from '../../../scripts/servers/stand-ins/misbehaviour.js'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { createManualClock, createPool, type ManualClock, ourIssuer, refusal } from './identity-fixtures.js'

let clock: ManualClock
let server: OidcIssuer
beforeEach(async () => {
  clock = createManualClock()
  server = await startOidcIssuer({ clock })
})
afterEach(() => server.stop())

/** The time-out is short only where it is what ends the wait, and longer than a busy machine stands still: that is no misbehaviour. */
const pool = (extra: object = {}, fetchTimeoutMs = 30_000) =>
  createPool({ ci: { type: 'oidc', issuer: server.issuer, ...extra } }, { clock, fetchTimeoutMs })
const sign = () => server.sign({ sub: 'x', aud: ourIssuer, exp: clock.now() / 1000 + 3600 })

/** Refused as an outage with this reason for operators; no caller hears the reason; well again, it works again. */
async function expectOutage(makeWell: () => void, reason: RegExp, extra: object = {}): Promise<void> {
  const { authenticate, find } = pool(extra, /4000 ms/.test(reason.source) ? 4000 : 30_000)
  const token = await sign()
  const refused = await refusal(() => authenticate(token), token)
  expect(refused).toMatchObject({
    code: 'issuer_unavailable',
    detail: 'the keys of issuer "ci" cannot be had at the moment',
  })
  expect(refused.retryAfterSeconds).toBeGreaterThanOrEqual(1)
  expect(find('ci').status()).toMatchObject({ keysFetchedAt: null, lastError: expect.stringMatching(reason) })
  await expect(find('ci').refresh()).rejects.toThrow(reason)
  makeWell()
  clock.advance(5)
  expect(await authenticate(token)).toMatchObject({ id: 'ci:x' })
  expect(find('ci').status().lastError).toBeNull()
}

const table: readonly [Misbehaviour, RegExp][] = [
  ['down', /socket hang up|ECONNRESET/],
  ['hang', /gave no whole answer in 4000 ms/],
  ['drip', /gave no whole answer in 4000 ms/],
  ['slow', /gave no whole answer in 4000 ms/],
  ['huge', /answered more than 262144 bytes/],
  ['bomb', /answered compressed, which was not asked for/],
  ['unlabelled_bomb', /did not answer JSON/],
  ['gzip', /answered compressed, which was not asked for/],
  ['redirect', /answered 302; redirects are not followed/],
  ['metadata_redirect', /answered 307; redirects are not followed/],
  ['garbage', /answered a content type that is not JSON/],
  ['nothing', /did not answer JSON/],
  ['list', /is not a JSON object/],
  ['latin1', /did not answer JSON/],
  ['deep', /is not a JSON object/],
  ['cut', /aborted|ECONNRESET|hang up/],
  ['noise', /Parse Error|HPE_/],
  ['long_headers', /Header|HPE_HEADER_OVERFLOW|Parse Error/],
  ['error', /answered 500/],
  ['missing', /answered 404/],
  ['partial', /answered 206/],
]

describe.each([
  ['by discovery', () => ({}), '/.well-known/openid-configuration'],
  ['with a fixed JWKS', () => ({ jwks: { uri: `${server.issuer}/jwks` } }), '/jwks'],
])('an issuer %s that answers', (_how, extra, path) => {
  test.each(table)('%s', async (behaviour, reason) => {
    server.behave(behaviour)
    const before = process.memoryUsage.rss()
    await expectOutage(
      () => server.behave('well'),
      new RegExp(`127\\.0\\.0\\.1:\\d+${path}: .*(${reason.source})`),
      extra(),
    )
    // The bomb's fifty megabytes were never made; the process of this test holds the server as well.
    expect(process.memoryUsage.rss() - before).toBeLessThan(200_000_000)
  })
})

describe('a discovery document', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['of another issuer', { issuer: 'https://other.example' }, /names the issuer "https:\/\/other.example"/],
    ['of one that starts alike', { issuer: 'http://127.0.0.1.evil.example' }, /names the issuer/],
    ['whose issuer is a list', { issuer: ['x'] }, /names the issuer \["x"\]/],
    ['without issuer', { issuer: undefined }, /names the issuer undefined/],
    ['without jwks_uri', { jwks_uri: undefined }, /jwks_uri is not an https/],
    ['whose jwks_uri is a number', { jwks_uri: 7 }, /jwks_uri is not an https/],
    ['whose jwks_uri is relative', { jwks_uri: '/jwks' }, /jwks_uri is not an https/],
    ['with an unencrypted jwks_uri', { jwks_uri: 'http://keys.example/jwks' }, /jwks_uri is not an https/],
    ['with a file as jwks_uri', { jwks_uri: 'file:///etc/passwd' }, /jwks_uri is not an https/],
    ['with keys inline', { jwks_uri: 'data:application/json,{"keys":[]}' }, /jwks_uri is not an https/],
    ['with credentials in jwks_uri', { jwks_uri: 'https://user:secret@keys.example/' }, /jwks_uri is not an https/],
    ['that leads to the metadata service', { jwks_uri: 'https://169.254.169.254/latest' }, /not public/],
    ['that leads to a private network', { jwks_uri: 'https://10.0.0.1/jwks' }, /not public/],
    ['that leads there in IPv6', { jwks_uri: 'https://[fd00::1]/jwks' }, /not public/],
    ['that leads there in IPv4 written as IPv6', { jwks_uri: 'https://[::ffff:10.0.0.1]/jwks' }, /not public/],
    ['that leads there in another notation', { jwks_uri: 'https://0x0a.1/jwks' }, /not public/],
  ])('%s', async (_what, members, reason) => {
    Object.assign(server.discovery, members)
    await expectOutage(() => {
      for (const name of Object.keys(members)) delete server.discovery[name]
    }, reason)
    expect(server.requests.filter((path) => path === '/jwks')).toHaveLength(1)
  })

  test('never widens what we take: algorithms, audiences and claims that it advertises mean nothing', async () => {
    Object.assign(server.discovery, {
      id_token_signing_alg_values_supported: ['none', 'HS256'],
      subject_types_supported: ['public'],
      audience: 'https://elsewhere.example',
    })
    const { authenticate } = pool({ algorithms: ['RS256'] })
    const token = await sign()
    expect(await refusal(() => authenticate(token), token)).toMatchObject({
      code: 'invalid_token',
      detail: 'alg "ES256" is not allowed for this issuer (allowed: RS256)',
    })
  })
})
