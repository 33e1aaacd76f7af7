import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { systemClock } from '../../../src/core/clock.js'
import type { Explanation } from '../../../src/identity/explain-token.js'
import { runHallpass } from '../../support/command-line.js'
import { stackSettings } from '../../support/stack-settings.js'
import { createPool, readFixture, refusal, unsignedToken } from '../identity/identity-fixtures.js'

const us = 'https://hallpass.acme.example'
let ci: OidcIssuer
let folder: string
let issuers: Record<string, Record<string, unknown>>
beforeAll(async () => {
  ci = await startOidcIssuer()
  folder = mkdtempSync(join(tmpdir(), 'hallpass-explain-'))
  const addresses = {
    url: us,
    redisUrl: 'redis://127.0.0.1:1',
    prefix: 'x',
    ci: ci.issuer,
    staff: `${ci.issuer}/staff`,
  }
  const settings = stackSettings(addresses)
  issuers = {
    ci: { type: 'oidc', issuer: ci.issuer, max_age: '1h', require: { owner: '65' }, algorithms: ['ES256'] },
    prod: { ...settings.issuers.prod, bundle: { file: resolve('test/fixtures/spire/prod/bundle.json') } },
    staff: settings.issuers.staff ?? {},
  }
  const file = { ...settings, listen: '127.0.0.1:1', issuers, groups: {} }
  file.keys = { directory: './keys', sealing: 'env:SEALING' }
  writeFileSync(join(folder, 'hallpass.yaml'), JSON.stringify(file))
  writeFileSync(join(folder, 'jwks.json'), await (await fetch(`${ci.issuer}/jwks`)).text())
  ci.requests.length = 0
})
afterAll(async () => {
  await ci.stop()
  rmSync(folder, { recursive: true })
})

const environment = { SEALING: Buffer.alloc(32, 7).toString('base64') }

async function explain(token: string, ...options: string[]) {
  const argv = ['token', 'explain', '--config', join(folder, 'hallpass.yaml'), ...options]
  const ran = await runHallpass(argv, { environment, stdin: token })
  const [, , signature = ''] = token.split('.')
  if (signature.length > 10) expect(ran.stdout + ran.stderr).not.toContain(signature.slice(0, 10))
  for (const part of token.split('.'))
    if (part.length > 60) expect(ran.stdout + ran.stderr).not.toContain(part.slice(0, 60))
  return ran
}

async function explained(token: string, ...options: string[]) {
  const { exitCode, stdout } = await explain(token, '--output', 'json', ...options)
  const explanation = JSON.parse(stdout) as Explanation
  const named = (result: string) => explanation.checks.filter((one) => one.result === result).map(({ check }) => check)
  return { exitCode, ...explanation, failed: named('fail'), notMade: named('not_made') }
}

const jwks = () => ['--jwks', join(folder, 'jwks.json')]
const good = (claims = {}) => ci.sign({ sub: 'repo:x', aud: us, owner: '65', ...claims })
const now = () => Math.floor(Date.now() / 1000)
/** Whole seconds to or since an instant: two who look one after the other may differ by one. */
const timeless = (detail?: string | null) => (detail ?? '').replace(/\d+ seconds/, 'n seconds')

describe('token explain', () => {
  test('says that a good token is accepted and for whom, and asks nobody', async () => {
    const ran = await explained(await good(), ...jwks())
    expect(ran).toMatchObject({ exitCode: 0, verdict: 'accepted', issuer: 'ci', failed: [], notMade: [] })
    expect(ran.principal).toMatchObject({ id: 'ci:repo:x', account: 'ci:repo:x', instance: null, binding: 'none' })
    expect(ran.checks.map(({ check }) => check)).toEqual(
      'form own_token issuer issuer algorithm type audience expiry not_before issued_at max_age binding event key signature require principal'.split(
        ' ',
      ),
    )
    expect(ci.requests).toEqual([])
    const { stdout } = await explain(`Bearer ${await good()}\n`, ...jwks())
    expect(stdout).toMatch(
      /^pass {2}form[\s\S]*It speaks for\n {2}principal: ci:repo:x[\s\S]*\naccepted by issuer ci\n$/,
    )
  })

  test('without the keys of a remote issuer is undecided, not a yes, and says what was not checked', async () => {
    const ran = await explained(await good())
    expect(ran).toMatchObject({ exitCode: 1, verdict: 'undecided', failed: [], notMade: ['key', 'signature'] })
    expect(ci.requests).toEqual([])
    expect((await explain(await good())).stdout).toMatch(/this is offline: --jwks FILE or --online/)
  })

  test('fetches keys only when told to', async () => {
    expect(await explained(await good(), '--online')).toMatchObject({ exitCode: 0, verdict: 'accepted' })
    expect(ci.requests).toEqual(['/.well-known/openid-configuration', '/jwks'])
    ci.requests.length = 0
    ci.behave('down')
    expect(await explained(await good(), '--online')).toMatchObject({ exitCode: 1, notMade: ['key', 'signature'] })
    ci.behave('well')
    ci.requests.length = 0
  })

  test('shows every check that fails, with what was expected and seen', async () => {
    const claims = { aud: 'https://other.example', exp: now() - 90, iat: now() - 9000, nbf: now() + 900, owner: 65 }
    const ran = await explained(await ci.sign({ sub: 'x', ...claims, cnf: { jkt: 'k' }, events: {} }), ...jwks())
    expect(ran).toMatchObject({ exitCode: 3, verdict: 'refused', notMade: [] })
    expect(ran.failed).toEqual(['audience', 'expiry', 'not_before', 'max_age', 'binding', 'event', 'require'])
    const audience = ran.checks.find(({ check }) => check === 'audience')
    expect(audience).toMatchObject({ expected: `"${us}"`, seen: '["https://other.example"]' })
    expect(audience?.detail).toContain('is for audience')
  })

  test.each([
    [
      'a forged signature',
      async () => `${(await good()).split('.').slice(0, 2).join('.')}.${randomBytes(64).toString('base64url')}`,
      ['signature'],
    ],
    ['an unknown kid', () => ci.sign({ sub: 'x', aud: us, owner: '65' }, { kid: 'other' }), ['key']],
    [
      'alg none',
      async () =>
        unsignedToken({ iss: ci.issuer, aud: us, sub: 'x', exp: now() + 60, iat: now(), owner: '65' }, { alg: 'none' }),
      ['algorithm', 'key'],
    ],
    ['no sub', () => good({ sub: undefined }), ['principal']],
    ['another issuer', () => good({ iss: 'https://evil.example' }), ['issuer']],
    ['Hallpass itself', () => good({ iss: us }), ['own_token', 'issuer']],
  ])('refuses %s', async (_what, make: () => Promise<string>, failed) => {
    const token = await make()
    expect(await explained(token, ...jwks())).toMatchObject({ exitCode: 3, verdict: 'refused', failed })
  })

  test('says the first refusal in the words of the broker, whatever is wrong', async () => {
    const { authenticate } = createPool(issuers, { clock: systemClock, ourIssuer: us })
    const claims = [{}, { aud: 'x' }, { exp: 5 }, { iat: now() + 99 }, { nbf: now() + 99 }, { cnf: 1 }, { events: 1 }]
    const more = [
      { owner: 65 },
      { iat: 7 },
      { iss: 'q' },
      { sub: '' },
      { iss: us },
      { aud: 5 },
      { exp: '5' },
      { sub: 'a\nb' },
    ]
    for (const one of [...claims, ...more]) {
      const token = await good(one)
      const { verdict, checks } = await explained(token, ...jwks())
      const first = checks.find(({ result }) => result === 'fail')
      if (verdict === 'accepted') expect(await authenticate(token)).toBeTruthy()
      else expect(timeless(first?.detail)).toBe(timeless((await refusal(() => authenticate(token), token)).detail))
      expect(verdict === 'accepted').toBe(one === claims[0])
    }
    ci.requests.length = 0
  })

  test('needs no option for an issuer whose keys are a file', async () => {
    const ran = await explained(readFixture('spire/prod/ns_ci_sa_deployer.jwt'))
    expect(ran).toMatchObject({ exitCode: 0, issuer: 'prod' })
    expect(ran.principal?.attributes).toEqual({ namespace: 'ci', service_account: 'deployer' })
    expect(await explained(readFixture('spire/prod/expired.jwt'))).toMatchObject({ exitCode: 3, failed: ['expiry'] })
  })

  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
    ['noise', randomBytes(5000)],
    ['2 MB', Buffer.alloc(2_000_000, 'a.b')],
    ['a million dots', Buffer.alloc(1_000_000, '.')],
    ['deep JSON', Buffer.from(`${Buffer.from('['.repeat(9000)).toString('base64url')}.e30.e30`)],
    ['a private key', Buffer.from('-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n')],
  ])('refuses %s in a few lines, from a file and from stdin', async (_what, bytes) => {
    const file = join(folder, 'input')
    writeFileSync(file, bytes)
    for (const ran of [await explain('', file), await explain(bytes.toString('latin1'), '-')]) {
      expect(ran).toMatchObject({ exitCode: 3, stderr: '' })
      expect(ran.stdout).toMatch(/^FAIL {2}form [\s\S]*\nrefused: 1 of 1 checks failed\n$/)
      expect(ran.stdout.length).toBeLessThan(1000)
    }
  })

  test('lets no claim move the cursor, turn the line around or begin another', async () => {
    const { stdout } = await explain(await good({ aud: '\u009b31m\u202e\u2028\u001b[2J' }), ...jwks())
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
    expect(stdout).toContain('\\u{202e}')
  })

  test('says by its exit code 2 that it was called wrongly', async () => {
    expect((await explain('', join(folder, 'not-there'))).exitCode).toBe(2)
    expect((await explain('', folder)).stderr).toMatch(/cannot be read/)
    expect((await explain(await good(), '--online', ...jwks())).exitCode).toBe(2)
  })
})
