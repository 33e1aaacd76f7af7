// Redis forgets: everything, since a snapshot, its last second, or whatever a replica had not heard of. Each is noticed before
// the next credential; what was lost is written again from the audit, and can be revoked.
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { type OwnRedis, startOwnRedis } from '../support/redis.js'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { type SwitchableRedis, startSwitchableRedis } from '../support/switchable-redis.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import { buy, expectProblem, introspect, type OpenedTask, openTask, report, until } from '../support/wire-checks.js'

const query = { action: 'database.query', resource: 'database:orders', ttl_seconds: 300 }
const rolledBack = { status: 503, code: 'rolled_back', retryAfter: true }

let beside: VaultInStack
let redis: OwnRedis
let relay: SwitchableRedis
let stack: Stack
let raw: Redis
let token: string
let task: OpenedTask

beforeAll(async () => {
  beside = await startVaultForStack()
  redis = await startOwnRedis()
  relay = await startSwitchableRedis(portOf(redis.url))
  stack = await startStack({
    programs: [],
    policies: stackPolicies + vaultPolicy,
    settings: (base) => ({ ...beside.withVault(base), redis: { ...base.redis, url: relay.url } }),
  })
  raw = new Redis(redis.url)
  raw.on('error', () => undefined)
  await stack.start('serve')
  await stack.start('worker')
})
beforeEach(async () => {
  await stack.untilReady(30)
  token = await stack.ciToken()
  task = await openTask(stack, token)
})
afterAll(async () => {
  raw?.disconnect()
  await stack?.stop()
  await relay?.close()
  await redis?.stop()
  await beside?.vault.stop()
})

const portOf = (url: string) => Number(new URL(url).port)
const ask = (asked: object = report) => stack.call('POST', `${task.path}/credentials`, { token, body: asked })
const problems = async () => (await stack.call('GET', '/readyz')).body.problems as Record<string, string>
const events = (event: string) => stack.auditRecords().filter((record) => record.event === event)

/** Both credentials that the ledger lost are its again, and end as if nothing had happened. */
async function expectRestored(bought: { lease: string; secret: string }, atVault: number): Promise<void> {
  const lease = await stack.call('GET', `/v1/leases/${bought.lease}`, { token })
  expect(lease).toMatchObject({ status: 200, body: { state: 'active' } })
  expect(await introspect(stack, token, bought.secret)).toMatchObject({ active: true })
  expect(beside.vault.alive().accessors.length).toBe(atVault)
  const completed = await stack.call('POST', `${task.path}/complete?wait_seconds=20`, { token, body: {} })
  const outcomes = (completed.body.receipts as { outcome: string }[]).map(({ outcome }) => outcome)
  expect(outcomes.length).toBeGreaterThanOrEqual(2)
  expect(new Set(outcomes)).toEqual(new Set(['confirmed']))
  expect(await introspect(stack, token, bought.secret)).toMatchObject({ active: false })
  expect(beside.vault.alive().accessors).toEqual([])
}

/** The first credential after a rollback: until then only `rolled_back` is answered, and the lost lease is there by then. */
async function firstAfter(lost: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const answer = await ask()
    if (answer.status === 201) {
      expect(await raw.exists(`{${stack.redis.prefix}}:l:${lost}`)).toBe(1)
      return
    }
    expect([answer.status, answer.body.code]).toEqual([
      503,
      expect.stringMatching(/rolled_back|ledger_unavailable|no_worker/),
    ])
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing is issued: ${JSON.stringify(await problems())}`)
}

test('FLUSHALL while running: nothing more is issued until recover --apply, which brings everything back', async () => {
  const bought = await buy(stack, token, task, report)
  expect((await ask(query)).status).toBe(201)
  await raw.flushall()
  expectProblem(await ask(), rolledBack)
  await until(
    async () => (await problems()).rolled_back ?? '',
    (text) => text.includes('hallpass recover'),
  )
  expectProblem(await stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x' } }), rolledBack)

  const shown = await stack.run('recover', '--output', 'json')
  expect(shown.code).toBe(0)
  const { leases } = JSON.parse(shown.stdout) as { leases: { id: string; would: string }[] }
  expect(leases.find(({ id }) => id === bought.lease)).toMatchObject({ would: 'restore' })
  expect(await raw.keys('*:l:lease_*')).toEqual([])

  const applied = await stack.run('recover', '--apply')
  expect([applied.code, applied.stderr]).toEqual([0, ''])
  await stack.untilReady()
  expect((await ask()).status).toBe(201)
  await expectRestored(bought, 1)
  expect(events('ledger.rolled_back').length).toBeGreaterThan(0)
  expect(events('ledger.recovered').length).toBeGreaterThan(0)
})

test('FLUSHALL while stopped: what wrote to a ledger before does not begin a new one', async () => {
  const bought = await buy(stack, token, task, report)
  expect((await ask(query)).status).toBe(201)
  await stack.programs.serve?.kill('SIGTERM')
  await stack.programs.worker?.kill('SIGTERM')
  await raw.flushall()
  await stack.start('serve')
  await stack.start('worker')
  expectProblem(await stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x' } }), rolledBack)
  expect((await problems()).rolled_back).toContain('hallpass recover')
  expect(await raw.exists(`{${stack.redis.prefix}}:incarnation`)).toBe(0)
  expect((await stack.run('recover', '--apply', join(stack.directory, 'audit'))).code).toBe(0)
  await stack.untilReady()
  await expectRestored(bought, 1)
})

test('an old snapshot is noticed, and what came after it is written again', async () => {
  const folder = String(((await raw.config('GET', 'dir')) as string[])[1])
  await redis.kill()
  cpSync(folder, `${folder}-old`, { recursive: true })
  await redis.restart()
  await stack.untilReady()
  const bought = await buy(stack, token, task, report)
  expect((await ask(query)).status).toBe(201)
  await redis.kill()
  rmSync(folder, { recursive: true, force: true })
  cpSync(`${folder}-old`, folder, { recursive: true })
  rmSync(`${folder}-old`, { recursive: true, force: true })
  await redis.restart()
  await firstAfter(bought.lease)
  expect(events('ledger.replayed').length).toBeGreaterThan(0)
  await expectRestored(bought, 1)
})

test('a cut tail of the append-only file is noticed, and what stood in it is written again', async () => {
  const before = events('ledger.replayed').length
  const folder = join(String(((await raw.config('GET', 'dir')) as string[])[1]), 'appendonlydir')
  const tail = join(folder, readdirSync(folder).find((name) => name.endsWith('.incr.aof')) ?? '')
  const size = statSync(tail).size
  const bought = await buy(stack, token, task, report)
  expect((await ask(query)).status).toBe(201)
  await redis.kill()
  // In the middle of a command, as a power cut leaves it.
  truncateSync(tail, size + 5)
  await redis.restart()
  await firstAfter(bought.lease)
  expect(events('ledger.replayed').length).toBeGreaterThan(before)
  await expectRestored(bought, 1)
})

test('recover --revoke-now kills what lives at a Vault with Redis stopped, and says of tokens that it cannot know', async () => {
  const bought = await buy(stack, token, task, report)
  expect((await ask(query)).status).toBe(201)
  expect(beside.vault.alive().accessors.length).toBe(1)
  await stack.programs.worker?.kill('SIGKILL')
  await redis.kill()
  const { code, stdout } = await stack.run('recover', '--revoke-now', '--output', 'json')
  expect(code).toBe(0)
  expect(beside.vault.alive().accessors).toEqual([])
  const { receipts } = JSON.parse(stdout) as { receipts: { lease_id: string; provider: string; outcome: string }[] }
  expect(receipts.find(({ provider }) => provider === 'vault')).toMatchObject({ outcome: 'confirmed' })
  expect(receipts.find(({ lease_id }) => lease_id === bought.lease)).toMatchObject({ outcome: 'pending' })
  expect(events('lease.ended').filter(({ actor }) => actor === 'local:recover').length).toBe(1)
  await redis.restart()
  await stack.start('worker')
})

test('a Redis that evicts is refused at start', async () => {
  await stack.programs.serve?.kill('SIGTERM')
  await raw.config('SET', 'maxmemory-policy', 'allkeys-lru')
  const serve = stack.spawn('serve')
  await until(
    async () => serve.lastWords(),
    (text) => text.includes('maxmemory-policy is allkeys-lru'),
  )
})

test('a promoted replica that lagged is noticed, and what it had not heard of is written again', async () => {
  const before = events('ledger.replayed').length
  const replica = await startOwnRedis()
  const second = new Redis(replica.url)
  try {
    await second.replicaof('127.0.0.1', portOf(redis.url))
    await until(
      () => second.info('replication'),
      (text) => text.includes('master_link_status:up'),
    )
    await until(
      () => second.exists(`{${stack.redis.prefix}}:incarnation`),
      (there) => there === 1,
    )
    // Cut off from its primary: everything from here on is unknown to it.
    await second.replicaof('NO', 'ONE')
    const bought = await buy(stack, token, task, report)
    expect((await ask(query)).status).toBe(201)
    await redis.kill()
    relay.turnTo(portOf(replica.url))
    raw.disconnect()
    raw = new Redis(replica.url)
    await firstAfter(bought.lease)
    expect(events('ledger.replayed').length).toBeGreaterThan(before)
    await expectRestored(bought, 1)
  } finally {
    second.disconnect()
    await replica.stop()
  }
})
