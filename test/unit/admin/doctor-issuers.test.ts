import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { diagnoseIssuer } from '../../../src/admin/doctor-issuers.js'
import { issuersConfig } from '../../../src/identity/issuer-config.js'
import { createPool, ourIssuer } from '../identity/identity-fixtures.js'

let server: OidcIssuer
beforeEach(async () => {
  server = await startOidcIssuer()
})
afterEach(() => server.stop())

/** `aheadSeconds`: how far the server's clock, which is the real one, is ahead of ours. */
function diagnose(extra: object = {}, aheadSeconds = 0, deps: object = {}) {
  const section = { ci: { type: 'oidc', issuer: server.issuer, ...extra } }
  const clock = { now: () => Date.now() - aheadSeconds * 1000, monotonic: () => performance.now() }
  return diagnoseIssuer(createPool(section, { clock, ...deps }).find('ci'), issuersConfig.parse(section).ci)
}

describe('the doctor on an issuer', () => {
  test('says what would be accepted, with which keys', async () => {
    server.extraKeys.push({ kty: 'oct', k: 'AQAB' })
    const { problems, notes, accepts } = await diagnose({
      algorithms: ['ES256'],
      max_age: '10m',
      session: '2h',
      max_stale: '30m',
      require: { owner: '65' },
      attributes: { repo: { claim: 'repository_id', type: 'string' } },
      account: ['repo'],
    })
    expect(problems).toEqual([expect.stringMatching(/a key is not used: key 1: is not a public key/)])
    expect(accepts).toEqual({
      iss: server.issuer,
      use: 'workload',
      audiences: [ourIssuer],
      algorithms: ['ES256'],
      types: ['JWT'],
      require: { owner: '65' },
      account: ['repo'],
      instance: null,
      sessionSeconds: 7200,
      leewaySeconds: 30,
      maxAgeSeconds: 600,
      maxStaleSeconds: 1800,
      usableKeys: ['"es256-1" (ES256)'],
      skippedKeys: ['key 1: is not a public key'],
      skewSeconds: expect.any(Number),
    })
    expect(notes.join('\n')).toContain('account repo, instance none, require {"owner":"65"}')
    expect(notes.join('\n')).toContain('session 7200 s, max_age 600 s, leeway 30 s, max_stale 1800 s, skew ')
  })

  test.each([
    // A server dates in whole seconds, and what lies between its date and our look at it is part of what is measured.
    [300, /clock is (29[0-9]|30[0-9]) s ahead of ours, leeway is 30 s.*not yet issued; set this host's clock/],
    [-300, /clock is (29[0-9]|30[0-9]) s behind ours/],
  ])('measures a clock that is %d s ahead', async (ahead, expected) => {
    const { problems, accepts } = await diagnose({}, ahead)
    expect(problems).toEqual([expect.stringMatching(expected)])
    expect(Math.abs(Number(accepts.skewSeconds) - ahead)).toBeLessThan(10)
  })

  test('tells a skew within the leeway without complaint', async () => {
    expect((await diagnose({ leeway: '60s' }, 40)).problems).toEqual([])
  })

  test.each<[string, () => void, object, RegExp]>([
    ['that is another', () => Object.assign(server.discovery, { issuer: 'x' }), {}, /names the issuer "x".*exactly/],
    ['that is not there', () => undefined, { jwks: { uri: 'REPLACED/nothing' } }, /answered 404; check issuer/],
    ['that redirects', () => server.behave('redirect'), {}, /redirects are not followed; write the address/],
    ['that answers a web page', () => server.behave('garbage'), {}, /content type that is not JSON; something else/],
    ['that hangs', () => server.behave('hang'), {}, /no whole answer in 300 ms; check that this host may reach it/],
    ['without keys', () => server.behave('empty'), { jwks: { uri: 'REPLACED/jwks' } }, /no usable key.*right address/],
    ['with keys for nothing allowed', () => undefined, { algorithms: ['RS256'] }, /none of its keys is for RS256/],
  ])('says of an issuer %s what to do', async (what, arrange, extra, expected) => {
    arrange()
    const settings = JSON.parse(JSON.stringify(extra).replace('REPLACED', server.issuer)) as object
    // A short time-out for the one that never answers alone: the others are to be seen, however slow the machine.
    const { problems, accepts } = await diagnose(settings, 0, what === 'that hangs' ? { fetchTimeoutMs: 300 } : {})
    expect(problems).toEqual([expect.stringMatching(expected)])
    expect(accepts).toMatchObject({ iss: server.issuer, audiences: [ourIssuer] })
  })

  test('says of a private address how to allow it', async () => {
    const deps = { resolveHost: async () => [{ address: '10.0.0.1', family: 4 }] }
    const { problems } = await diagnose({ issuer: 'https://issuer.test' }, 0, deps)
    expect(problems).toEqual([expect.stringMatching(/not public .*set allow_private_addresses: true/)])
  })
})
