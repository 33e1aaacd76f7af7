// 503 and 502: what the broker cannot do without is away, late or lying. No credential comes of it, nothing is forgotten, and
// when it is back everything goes on.
import { execFileSync, spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { type OidcIssuer, startOidcIssuer } from '../../scripts/servers/stand-ins/oidc-issuer.js'
import { runHallpassOnHost } from '../support/run-hallpass.js'
import { type Stack, startStack } from '../support/stack.js'
import { ciClaims, stackPolicies } from '../support/stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import {
  buy,
  expectProblem,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  report,
  until,
} from '../support/wire-checks.js'

let beside: VaultInStack
let dark: OidcIssuer
let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask

beforeAll(async () => {
  beside = await startVaultForStack()
  dark = await startOidcIssuer()
  stack = await startStack({
    policies: stackPolicies + vaultPolicy,
    settings(base) {
      const full = beside.withVault(base)
      const issuer = { type: 'oidc', issuer: dark.issuer, algorithms: ['ES256'] }
      return { ...full, issuers: { ...full.issuers, dark: issuer } }
    },
  })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
  await dark?.stop()
  await beside?.vault.stop()
})

const ask = (asked: object = report): Promise<Answer> =>
  stack.call('POST', `${task.path}/credentials`, { token, body: asked })
const query = { action: 'database.query', resource: 'database:orders', ttl_seconds: 60 }
const config = { action: 'config.read', resource: 'database:orders', ttl_seconds: 60 }

/** The lease that came of the refused request, by its records. */
function leaseOf(answer: Answer): string {
  const record = stack
    .auditRecords()
    .find(({ request_id, lease }) => request_id === answer.headers['x-request-id'] && lease)
  return String(record?.lease)
}

test('the ledger away: 503, and not ready; back: what was bought lives, and more can be bought', async () => {
  const bought = await buy(stack, token, task, report)
  await stack.redis.stop('SIGKILL')
  const unavailable = { status: 503, code: 'ledger_unavailable', retryAfter: true }
  for (const [method, path, body] of [
    ['POST', `${task.path}/credentials`, report],
    ['POST', '/v1/tasks', { purpose: 'x' }],
    ['POST', `${task.path}/complete`, {}],
    ['GET', task.path, undefined],
    ['DELETE', `/v1/leases/${bought.lease}`, undefined],
  ] as const)
    expectProblem(await stack.call(method, path, { token, ...(body ? { body } : {}) }), unavailable)
  const asked = await stack.call('POST', '/oauth/introspect', { token, form: { token: bought.secret } })
  expect({ status: asked.status, error: asked.body.error }).toEqual({ status: 503, error: 'temporarily_unavailable' })
  const ready = await stack.call('GET', '/readyz')
  expect(ready).toMatchObject({ status: 503, body: { problems: { ledger_unavailable: expect.any(String) } } })
  expect((await stack.call('GET', '/healthz')).status).toBe(200)
  await stack.redis.start()
  await stack.untilReady()
  expect(await introspect(stack, token, bought.secret)).toMatchObject({ active: true })
  await buy(stack, token, task, report)
})

test('no worker: 503, and a worker that comes back makes it good', async () => {
  await stack.programs.worker?.kill('SIGKILL')
  // What it sent last may lie unread at a Redis that stood still: once this is answered, it was read.
  await ledger.redis.ping()
  // As if ten seconds had gone by.
  await ledger.redis.set(ledger.key('swept'), Date.now() - 11_000)
  const before = await ledger.leaseIds()
  expectProblem(await ask(), { status: 503, code: 'no_worker', retryAfter: true })
  expect(await ledger.leaseIds()).toEqual(before)
  await stack.start('worker')
  await stack.untilReady()
  expect((await ask()).status).toBe(201)
})

test('another ledger than the one it wrote to: 503 rolled_back', async () => {
  const incarnation = String(await ledger.redis.get(ledger.key('incarnation')))
  await ledger.redis.set(ledger.key('incarnation'), 'another')
  expectProblem(await ask(), { status: 503, code: 'rolled_back', retryAfter: true })
  await ledger.redis.del(ledger.key('incarnation'))
  expectProblem(await ask(), { status: 503, code: 'rolled_back', retryAfter: true })
  await ledger.redis.set(ledger.key('incarnation'), incarnation)
  await stack.untilReady()
  expect((await ask()).status).toBe(201)
})

test('an issuer away: 503 and never a 401; its return is noticed', async () => {
  dark.behave('down')
  const foreign = await dark.sign({ ...ciClaims(stack.url), sub: 'agent' })
  const open = () => stack.call('POST', '/v1/tasks', { token: foreign, body: { purpose: 'x' } })
  expectProblem(await open(), { status: 503, code: 'issuer_unavailable', retryAfter: true })
  const { body } = await stack.call('GET', '/readyz')
  expect(body).toMatchObject({ ready: true, issuers: { dark: expect.any(String) } })
  dark.behave('well')
  await until(open, ({ status }) => status === 201)
})

test('a broker whose clock is seven seconds off issues nothing', async () => {
  const fast = 'const now = Date.now; Date.now = () => now() + 7000'
  await stack.programs.serve?.kill()
  await stack.start('serve', { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fast)}` })
  const before = await ledger.leaseIds()
  expectProblem(await ask(), { status: 503, code: 'clock', retryAfter: true })
  expect(await ledger.leaseIds()).toEqual(before)
  expect((await stack.call('GET', '/readyz')).body).toMatchObject({ problems: { clock: expect.any(String) } })
  await stack.restart('serve')
})

// A limit on the size of files, set on the running program: every write of the audit fails as on a full disk.
const canFillDisk = spawnSync('prlimit', ['--version']).status === 0
const limitFiles = (bytes: string) =>
  execFileSync('prlimit', ['--pid', `${stack.programs.serve?.pid}`, `--fsize=${bytes}:`])

;(canFillDisk || process.env.HALLPASS_REQUIRE_REAL === '1' ? test : test.skip)(
  'the audit full: nothing is issued, ending goes on, and its return is noticed',
  async () => {
    const bought = await buy(stack, token, task, report)
    const agent = await stack.svid()
    const agents = await openTask(stack, agent)
    const held = new Set(await ledger.leaseIds())
    limitFiles('1')
    const denied = { token: agent, body: { action: 'pull_request.open', resource: 'repo:acme/web' } }
    const denial = await stack.call('POST', `${agents.path}/credentials`, denied)
    const unavailable = { status: 503, code: 'audit_unavailable', retryAfter: true }
    expectProblem(denial, unavailable)
    expectProblem(await ask(), unavailable)
    expectProblem(await stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x' } }), unavailable)
    expect((await stack.call('GET', '/readyz')).body).toMatchObject({
      problems: { audit_unavailable: expect.any(String) },
    })
    const released = await stack.call('DELETE', `/v1/leases/${bought.lease}`, { token })
    expect(released.body).toMatchObject({ receipt: { outcome: 'confirmed' } })
    limitFiles('unlimited')
    await stack.untilReady()
    expect((await ask()).status).toBe(201)
    // What was reserved meanwhile was never minted, and is proven so.
    const fresh = (await ledger.leaseIds()).filter((id) => !held.has(id))
    await until(
      () => Promise.all(fresh.map(ledger.state)),
      (states) => states.every((state) => state === 'void' || state === 'revoked' || state === 'active'),
    )
    const verified = await runHallpassOnHost(stack, 'audit', 'verify')
    expect(verified).toMatchObject({ code: 0 })
  },
)

describe('a provider', () => {
  const failed = { status: 502, code: 'provider_failed' }
  const away = { status: 503, code: 'provider_unavailable', retryAfter: true }
  const child = 'auth/token/create'
  const rows: [name: string, upset: () => void, asked: object, refused: typeof failed, endsAs: RegExp][] = [
    ['refuses', () => beside.vault.failNext(child, 403, ['permission denied']), config, failed, /void|revoked/],
    ['fails', () => beside.vault.failNext(child, 500, ['internal']), config, failed, /void|revoked|revoking/],
    [
      'answers garbage',
      () => beside.vault.answerNext(child, (r) => r.writeHead(200).end('<html>portal</html>')),
      config,
      failed,
      /void|revoked|revoking/,
    ],
    ['hangs up', () => beside.vault.answerNext(child, (r) => r.destroy()), config, away, /void|revoked|revoking/],
    ['never answers', () => beside.vault.answerNext(child, () => {}), config, away, /void|revoked|revoking/],
    [
      'refuses the secret itself',
      () => beside.vault.failNext('database/creds', 500, ['no connection']),
      query,
      failed,
      /void|revoked/,
    ],
    [
      'gives a secret that cannot be cut to the lease',
      () => beside.vault.failNext('sys/leases/renew', 400, ['lease is not renewable']),
      query,
      failed,
      /void|revoked/,
    ],
  ]
  test.each(rows)(
    'that %s: no credential, and the lease is looked after',
    async (_name, upset, asked, refused, endsAs) => {
      await until(
        () => beside.vault.alive().accessors.length,
        (alive) => alive === 0,
      )
      upset()
      const answer = await ask(asked)
      expect({ status: answer.status, code: answer.body.code }).toEqual({ status: refused.status, code: refused.code })
      expectProblem(answer, refused)
      expect(answer.text).not.toMatch(/hvs\.|portal|permission denied/)
      const lease = leaseOf(answer)
      // Either proven ended, or still in the index of what is looked after. Two reads: between them it may be settled.
      await until(
        async () => ({ state: String(await ledger.state(lease)), isDue: (await ledger.due()).includes(lease) }),
        ({ state, isDue }) => endsAs.test(state) && isDue === (state === 'revoking'),
      )
      await until(
        () => beside.vault.alive(),
        ({ accessors, leases }) => accessors.length + leases.length === 0,
      )
      expect(
        stack
          .auditRecords()
          .filter((record) => record.lease === lease)
          .map(({ event }) => event),
      ).toContain('lease.reserved')
    },
  )

  test('that is not there: 503, shown by /readyz, and others go on', async () => {
    beside.vault.delay('', 60_000)
    const begun = performance.now()
    expectProblem(await ask(config), away)
    // Before the Vault says anything.
    expect(performance.now() - begun).toBeLessThan(45_000)
    const ready = (await stack.call('GET', '/readyz')).body
    expect(ready).toMatchObject({ ready: true, providers: { vault: expect.any(String) } })
    expect((await ask()).status).toBe(201)
    beside.vault.delay('', 0)
    await until(
      () => ask(config),
      ({ status }) => status === 201,
      60,
    )
  })
})
