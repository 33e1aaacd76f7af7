// `hallpass login` against a real OpenID provider, both flows, then work with it; and every way in which it must fail.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { type LoginProviders, withLogins } from '../support/login-settings.js'
import { runBeside, signIn, signInForDevice, startProvider } from '../support/sign-in.js'
import { type Stack, startStack } from '../support/stack.js'

jest.setTimeout(180_000)

let providers: LoginProviders
let stack: Stack
let state: string

beforeAll(async () => {
  const [staff, brief, access, opaque, elsewhere, silent] = await Promise.all([
    startProvider(),
    startProvider({ ttl: { IdToken: 25, DeviceCode: 2 } }),
    startProvider({ resource: 'https://ours.acme.example' }),
    startProvider(),
    startProvider({ resource: 'https://other.acme.example' }),
    startProvider({ issParameter: false }),
  ])
  providers = { staff, brief, access, opaque, elsewhere, silent }
  stack = await startStack({ programs: ['serve'], settings: (base) => withLogins(base, providers) })
})
afterAll(async () => {
  await stack?.stop()
  await Promise.all(Object.values(providers ?? {}).map((one) => one.stop()))
})
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'hallpass-login-'))
})
afterEach(() => rmSync(state, { recursive: true, force: true }))

const env = () => ({ HALLPASS_URL: stack.url, XDG_STATE_HOME: state })
const run = (...args: string[]) => runBeside(env(), ...args).ended
const files = () => readdirSync(state, { recursive: true }).map(String)
const kept = () => join(state, 'hallpass', readdirSync(join(state, 'hallpass'))[0] ?? '')

/** Logs in as far as the browser's answer, which the caller brings. */
async function begin(...args: string[]) {
  const login = runBeside(env(), 'login', ...args)
  return { login, address: await login.says(/(http:\/\/127\.0\.0\.1:\d+\/auth\?\S+)\s/) }
}

async function loginAs(issuer: string, as = 'as=olga') {
  const { login, address } = await begin('--issuer', issuer)
  const answer = await fetch(await signIn(address, as))
  return { ...(await login.ended), status: answer.status, address }
}

describe('authorization code', () => {
  test('with PKCE, state and nonce; the token is kept privately and serves the commands after it', async () => {
    const { code, stdout, address, status } = await loginAs('staff')
    expect({ code, status }).toEqual({ code: 0, status: 200 })
    expect(stdout).toMatch(/^logged in as staff:olga until 20/)
    const asked = new URL(address).searchParams
    expect(asked.get('code_challenge_method')).toBe('S256')
    for (const name of ['code_challenge', 'state', 'nonce']) expect(asked.get(name)?.length).toBeGreaterThan(40)

    expect(statSync(kept()).mode & 0o777).toBe(0o600)
    expect(statSync(join(state, 'hallpass')).mode & 0o777).toBe(0o700)
    expect(await run('lease', 'list')).toMatchObject({ code: 0, stdout: 'no leases\n' })
    const me = JSON.parse((await run('whoami', '--output', 'json')).stdout) as Record<string, unknown>
    expect(me).toMatchObject({
      id: 'staff:olga',
      use: 'operator',
      account: 'staff:olga',
      instance: null,
      binding: 'none',
    })
    expect(me).toMatchObject({
      attributes: { email: 'olga@acme.example', roles: ['sre'] },
      person: 'olga@acme.example',
    })
    expect(Date.parse(String(me.token_expires_at))).toBeGreaterThan(Date.now())

    // No other broker gets it, and a token in the environment goes before it.
    const other = { ...env(), HALLPASS_URL: `${stack.url.replace('127.0.0.1', 'localhost')}` }
    expect(await runBeside(other, 'whoami').ended).toMatchObject({ code: 3 })
    const ci = await runBeside({ ...env(), HALLPASS_TOKEN: await stack.ciToken() }, 'whoami').ended
    expect(ci.stdout).toContain('ci:repo:acme/web')

    expect(await run('logout')).toMatchObject({ code: 0, stdout: `logged out of ${stack.url}\n` })
    expect(files()).toEqual(['hallpass'])
    expect(await run('lease', 'list')).toMatchObject({ code: 3, stderr: expect.stringContaining('hallpass login') })
  })

  test('a login that runs out is renewed by its refresh token, once for all commands, and not after logout', async () => {
    expect((await loginAs('brief')).code).toBe(0)
    const before = JSON.parse(readFileSync(kept(), 'utf8')) as { token: string; refresh_token: string }
    const past = { ...before, expires_at: new Date(Date.now() - 1000).toISOString() }
    writeFileSync(kept(), JSON.stringify(past))
    const ran = await Promise.all([run('whoami'), run('whoami'), run('whoami')])
    expect(ran.map(({ code }) => code)).toEqual([0, 0, 0])
    const after = JSON.parse(readFileSync(kept(), 'utf8')) as typeof before
    expect(after.token).not.toBe(before.token)
    expect(after.refresh_token).not.toBe(before.refresh_token)

    const path = kept()
    await run('logout')
    writeFileSync(path, JSON.stringify({ ...past, refresh_token: after.refresh_token }), { mode: 0o600 })
    expect(await run('whoami')).toMatchObject({ code: 3, stderr: expect.stringMatching(/ended at .*hallpass login/) })
  })

  test('an answer with a wrong state, of another method or at another path is refused, and the right one still counts', async () => {
    const { login, address } = await begin('--issuer', 'staff')
    const answer = await signIn(address, 'as=olga')
    const wrong = new URL(answer)
    wrong.searchParams.set('state', 'x'.repeat(43))
    expect((await fetch(wrong)).status).toBe(400)
    const twice = new URL(answer)
    twice.searchParams.append('state', 'x')
    expect((await fetch(twice)).status).toBe(400)
    expect((await fetch(answer, { method: 'POST' })).status).toBe(404)
    expect((await fetch(new URL('/other', answer))).status).toBe(404)
    expect(files()).toEqual([])
    expect((await fetch(answer)).status).toBe(200)
    expect(await login.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('wrong state') })
  })

  test('an answer whose iss is another issuer’s, or missing where it is promised, is refused (RFC 9207)', async () => {
    const { login, address } = await begin('--issuer', 'staff')
    const answer = new URL(await signIn(address, 'as=olga'))
    answer.searchParams.set('iss', 'https://evil.example')
    await fetch(answer)
    expect(await login.ended).toMatchObject({ code: 3, stderr: expect.stringContaining('login_failed') })
    expect(await loginAs('silent')).toMatchObject({ code: 3, stderr: expect.stringContaining('login_failed') })
    expect(files()).toEqual([])
  })

  test('a code of another sign-in is refused: it was not asked for with our verifier', async () => {
    const [first, second] = [await begin('--issuer', 'staff'), await begin('--issuer', 'staff')]
    const stolen = new URL(await signIn(first.address, 'as=mallory'))
    const injected = new URL(await signIn(second.address, 'as=olga'))
    injected.searchParams.set('code', stolen.searchParams.get('code') ?? '')
    await fetch(injected)
    expect(await second.login.ended).toMatchObject({ code: 3, stderr: expect.stringContaining('invalid_grant') })
    first.login.child.kill()
    await first.login.ended
    expect(files()).toEqual([])
  })

  test('with `token: access_token` the access token for our audience is what is shown', async () => {
    expect(await loginAs('access')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('logged in as access:olga'),
    })
    const whoami = await run('whoami', '--output', 'json')
    expect(JSON.parse(whoami.stdout)).toMatchObject({ id: 'access:olga', attributes: {} })
  })

  test('who says no is told so', async () => {
    const ended = await loginAs('staff', 'deny=1')
    expect(ended).toMatchObject({ code: 3, stderr: expect.stringMatching(/login_failed.*access_denied/) })
    expect(files()).toEqual([])
  })

  test('nobody signs in', async () => {
    const ended = await run('login', '--issuer', 'staff', '--timeout', '1s')
    expect(ended).toMatchObject({ code: 3, stderr: expect.stringContaining('nobody signed in within 1 s') })
  })

  test('a token that the broker does not take is not kept', async () => {
    expect(await loginAs('opaque')).toMatchObject({ code: 3, stderr: expect.stringContaining('invalid_token') })
    const elsewhere = await loginAs('elsewhere')
    expect(elsewhere).toMatchObject({ code: 3, stderr: expect.stringContaining('https://other.acme.example') })
    expect(files()).toEqual([])
  })
})

describe('device code', () => {
  const beginDevice = async (issuer: string) => {
    const login = runBeside(env(), 'login', '--device', '--issuer', issuer)
    return { login, address: await login.says(/or open (\S+) and/) }
  }

  test('entered and allowed in a browser elsewhere', async () => {
    const { login, address } = await beginDevice('staff')
    expect(await signInForDevice(address, 'as=olga', true)).toContain('device: done')
    expect(await login.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('logged in as staff:olga') })
    expect(await run('lease', 'list')).toMatchObject({ code: 0 })
  })

  test('not allowed', async () => {
    const { login, address } = await beginDevice('staff')
    await signInForDevice(address, 'as=olga', false)
    expect(await login.ended).toMatchObject({ code: 3, stderr: expect.stringContaining('access_denied') })
    expect(files()).toEqual([])
  })

  test('not in time', async () => {
    const { login } = await beginDevice('brief')
    expect(await login.ended).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/not finished in time|expired_token/),
    })
    expect(files()).toEqual([])
  })
})

test('a kept login that others may read, or of another shape, is not used', async () => {
  expect((await loginAs('staff')).code).toBe(0)
  const { chmodSync } = await import('node:fs')
  chmodSync(kept(), 0o644)
  expect(await run('whoami')).toMatchObject({ code: 3, stderr: expect.stringContaining('may be read by others') })
  chmodSync(kept(), 0o600)
  writeFileSync(kept(), '{}')
  expect(await run('whoami')).toMatchObject({ code: 3, stderr: expect.stringContaining('is no login of ours') })
})

test('without a word of where to log in, it asks; /.well-known/hallpass says it to anybody', async () => {
  expect(await run('login')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--issuer with one of staff, brief'),
  })
  expect(await run('login', '--issuer', 'ci')).toMatchObject({ code: 2 })
  const { body } = await stack.call('GET', '/.well-known/hallpass')
  expect(body).toMatchObject({ issuer: stack.url, audiences: [stack.url], version: expect.stringMatching(/^\d/) })
  expect((body.login as object[])[0]).toEqual({
    name: 'staff',
    issuer: providers.staff.issuer,
    audience: 'hallpass-cli',
    client_id: 'hallpass-cli',
    scopes: ['openid', 'email', 'groups', 'offline_access'],
    token: 'id_token',
  })
})
