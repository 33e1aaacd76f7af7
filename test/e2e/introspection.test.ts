// RFC 7662 as a verifier sees it, and the published documents as a stranger's JOSE library reads them.
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { runHallpassOnHost } from '../support/run-hallpass.js'
import { type Stack, startStack } from '../support/stack.js'
import {
  type Bought,
  buy,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  pause,
  report,
  until,
} from '../support/wire-checks.js'

const audience = 'https://reports.acme.example'
let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask
let live: Bought

beforeAll(async () => {
  // While keys rotate credentials are bought without end: how long that takes is the machine's affair.
  const limits = { task: { active_leases: 5000 }, account: { active_leases: 5000, requests_per_minute: 100_000 } }
  stack = await startStack({ settings: (base) => ({ ...base, limits }) })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
  // It outlives the file, however slow the machine is.
  live = await buy(stack, token, task, { ...report, ttl_seconds: 1800 })
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const inactive = { active: false }
const ask = (options: object) => stack.call('POST', '/oauth/introspect', { token, ...options })

describe('active or not', () => {
  test('a live token: what it says, and nothing that must not be kept', async () => {
    const answer = await ask({ form: { token: live.secret, token_type_hint: 'access_token' } })
    expect(answer.status).toBe(200)
    expect(answer.headers['cache-control']).toBe('no-store')
    const { active, token_type, ...claims } = answer.body
    expect({ active, token_type }).toEqual({ active: true, token_type: 'Bearer' })
    expect(claims).toEqual(decodeJwt(live.secret))
  })

  const parts = () => live.secret.split('.') as [string, string, string]
  const reencoded = (change: object) => {
    const [head, , signature] = parts()
    const payload = Buffer.from(JSON.stringify({ ...decodeJwt(live.secret), ...change })).toString('base64url')
    return `${head}.${payload}.${signature}`
  }
  const flipped = () => {
    const [head, payload, signature] = parts()
    return `${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  }
  const texts: [name: string, text: () => string][] = [
    ['no token at all', () => 'x'],
    ['another signature on a live one', flipped],
    ['a live one without its signature', () => `${parts()[0]}.${parts()[1]}.`],
    ['a live one with a later end', () => reencoded({ exp: 4_000_000_000 })],
    ['another lease’s id', () => reencoded({ jti: `lease_${'0'.repeat(26)}` })],
    ['an id that is none', () => reencoded({ jti: 'x:l' })],
    ['another spelling of it', () => `${live.secret}=`],
    ['a task token', () => task.token],
    ['a subject token', () => token],
    ['the id of the lease', () => live.lease],
  ]
  test.each(texts)('%s is inactive', async (_name, text) => {
    const answer = await ask({ form: { token: text() } })
    expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: inactive })
  })

  test('after its time, after its release, after its task, under a lock: inactive, and nothing more is said', async () => {
    const expiring = await buy(stack, token, task, { ...report, ttl_seconds: 6 })
    const released = await buy(stack, token, task, report)
    const other = await openTask(stack, token)
    const orphan = await buy(stack, token, other, report)
    await stack.call('DELETE', `/v1/leases/${released.lease}`, { token })
    // Ended without waiting for anything: from that moment on nobody honours it.
    await stack.call('POST', `${other.path}/complete`, { token, body: {} })
    expect(await introspect(stack, token, orphan.secret)).toEqual(inactive)
    await pause(Math.max(0, expiring.expiresAt - Date.now()))
    for (const { secret } of [expiring, released]) expect(await introspect(stack, token, secret)).toEqual(inactive)
    await ledger.redis.hset(ledger.key('locked'), 'account=ci:1296269', '1')
    expect(await introspect(stack, token, live.secret)).toEqual(inactive)
    await ledger.redis.del(ledger.key('locked'))
    expect(await introspect(stack, token, live.secret)).toMatchObject({ active: true })
  })
})

describe('who asks', () => {
  test('neither owner nor audience learns that it is good, and until when', async () => {
    const exp = decodeJwt(live.secret).exp
    for (const stranger of [
      await stack.svid(),
      await stack.operatorToken(),
      await stack.ciToken({ run_id: '999' }),
      await stack.ciToken({ sub: 'someone', repository_id: '2' }),
    ])
      expect(await introspect(stack, stranger, live.secret)).toEqual({ active: true, exp })
  })

  test('whom the token is addressed to may know what it says', async () => {
    const service = await stack.ciToken({ sub: audience, repository_id: '3' })
    expect(await introspect(stack, service, live.secret)).toMatchObject({
      active: true,
      jti: live.lease,
      aud: audience,
    })
  })

  test('nobody: 401', async () => {
    const answer = await stack.call('POST', '/oauth/introspect', { form: { token: live.secret } })
    expect({ status: answer.status, error: answer.body.error }).toEqual({ status: 401, error: 'invalid_token' })
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    expect(answer.headers['x-request-id']).toMatch(/^req_/)
    expect((await ask({ token: 'x.y.z', form: { token: live.secret } })).status).toBe(401)
  })

  const form = 'application/x-www-form-urlencoded'
  const wrong: [name: string, options: () => object, status: number][] = [
    ['a JSON body', () => ({ body: { token: live.secret } }), 400],
    ['a repeated parameter', () => ({ body: `token=${live.secret}&token=x`, headers: { 'content-type': form } }), 400],
    ['no token', () => ({ form: { token_type_hint: 'x' } }), 400],
    ['an empty token', () => ({ form: { token: '' } }), 400],
    ['an unknown parameter', () => ({ form: { token: 'x', resource: 'y' } }), 400],
    ['too much', () => ({ form: { token: 'x'.repeat(70_000) } }), 413],
  ]
  test.each(wrong)('%s is refused in OAuth’s form', async (_name, options, status) => {
    const answer = await ask(options())
    expect({ status: answer.status, error: answer.body.error }).toEqual({ status, error: 'invalid_request' })
    expect(answer.body.error_description).toEqual(expect.any(String))
    expect(answer.text).not.toContain(live.secret)
  })

  test('the client_id that OAuth libraries send along is ignored', async () => {
    expect((await ask({ form: { token: live.secret, client_id: 'reports' } })).body).toMatchObject({ active: true })
  })

  test('a charset and white space at the ends are borne', async () => {
    const headers = { 'content-type': `${form}; charset=utf-8` }
    const answer = await ask({ body: `token=${live.secret}%0A`, headers })
    expect(answer.body).toMatchObject({ active: true })
  })
})

test('a stranger finds the keys from the issuer’s name alone and verifies the token', async () => {
  const documents = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']
  for (const path of documents) {
    const metadata = (await stack.call('GET', path)).body
    expect(metadata).toMatchObject({ issuer: stack.url, jwks_uri: `${stack.url}/.well-known/jwks.json` })
    const keys = createRemoteJWKSet(new URL(String(metadata.jwks_uri)))
    const { payload, protectedHeader } = await jwtVerify(live.secret, keys, {
      issuer: stack.url,
      audience,
      typ: 'at+jwt',
    })
    expect(protectedHeader.alg).toBe('ES256')
    expect(payload).toMatchObject({
      sub: 'ci:repo:acme/web:ref:refs/heads/main',
      jti: live.lease,
      task: task.id,
      scope: 'read',
    })
  }
  const federation = (await stack.call('GET', '/federation/.well-known/openid-configuration')).body
  expect(federation).toMatchObject({ issuer: `${stack.url}/federation` })
  // One purpose's keys verify nothing of another's.
  const others = createRemoteJWKSet(new URL(`${stack.url}/federation/.well-known/jwks.json`))
  await expect(jwtVerify(live.secret, others)).rejects.toThrow(/no applicable key/)
  await expect(
    jwtVerify(task.token, createRemoteJWKSet(new URL(`${stack.url}/.well-known/jwks.json`))),
  ).rejects.toThrow()
  const published = JSON.stringify((await stack.call('GET', '/.well-known/jwks.json')).body)
  expect(published).not.toContain('"d"')
})

test('keys rotate while tokens are minted and verified, without one that a verifier refuses', async () => {
  const jwks = () => createRemoteJWKSet(new URL(`${stack.url}/.well-known/jwks.json`))
  // A verifier that fetched the keys before the rotation and never again.
  const early = jwks()
  await jwtVerify(live.secret, early)
  const kids = new Set<string>()
  const rotations: ReturnType<typeof runHallpassOnHost>[] = []
  // On a busy machine the command alone takes seconds: what ends the test is the third key.
  const end = performance.now() + 90_000
  while (kids.size < 3 && performance.now() < end) {
    const { secret } = await buy(stack, token, task, { ...report, ttl_seconds: 60 })
    const kid = String(decodeProtectedHeader(secret).kid)
    kids.add(kid)
    // Once the key before it signs: the broker looks at its keys each second, and of two changes in between it sees the last.
    if (rotations.length < Math.min(kids.size, 2)) rotations.push(runHallpassOnHost(stack, 'keys', 'rotate', 'grants'))
    await jwtVerify(secret, jwks())
    if (kids.size <= 2) await jwtVerify(secret, early)
    expect(await introspect(stack, token, secret)).toMatchObject({ active: true })
    await pause(120)
  }
  expect(await Promise.all(rotations)).toMatchObject([{ code: 0 }, { code: 0 }])
  expect(kids.size).toBe(3)
  // What the first key signed is still good.
  await jwtVerify(live.secret, jwks())
  expect(await introspect(stack, token, live.secret)).toMatchObject({ active: true })
}, 120_000)

test('a leaked token is found by its digest alone', async () => {
  const fingerprint = createHash('sha256').update(live.secret).digest('hex')
  const operator = await stack.operatorToken()
  const found = await until(
    async () => (await stack.call('GET', `/v1/leases?fingerprint=${fingerprint}`, { token: operator })).body,
    ({ leases }) => Array.isArray(leases),
  )
  expect(found.leases).toMatchObject([{ id: live.lease }])
})
