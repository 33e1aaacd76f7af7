// Redis forgets everything, or cannot be used: nothing is issued until the ledger is rebuilt from the audit, and what was alive
// can be ended without any Redis.
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { type Forgetful, rolledBack, startForgetful } from '../support/lost-redis.js'
import { expectProblem, introspect, until } from '../support/wire-checks.js'

let at: Forgetful
beforeAll(async () => {
  at = await startForgetful()
})
beforeEach(() => at.begin())
afterAll(async () => {
  await at?.stop()
})

test('FLUSHALL while running: nothing more is issued until recover --apply, which brings everything back', async () => {
  const bought = await at.buyBoth()
  await at.raw.flushall()
  expectProblem(await at.ask(), rolledBack)
  await until(
    async () => (await at.problems()).rolled_back ?? '',
    (text) => text.includes('hallpass recover'),
  )
  expectProblem(await at.stack.call('POST', '/v1/tasks', { token: at.token, body: { purpose: 'x' } }), rolledBack)

  const shown = await at.stack.run('recover', '--output', 'json')
  expect(shown.code).toBe(0)
  const { leases } = JSON.parse(shown.stdout) as { leases: { id: string; would: string }[] }
  expect(leases.find(({ id }) => id === bought.lease)).toMatchObject({ would: 'restore' })
  expect(await at.raw.keys('*:l:lease_*')).toEqual([])

  const applied = await at.stack.run('recover', '--apply')
  expect([applied.code, applied.stderr]).toEqual([0, ''])
  await at.stack.untilReady()
  expect((await at.ask()).status).toBe(201)
  await at.expectRestored(bought)
  expect(at.events('ledger.rolled_back').length).toBeGreaterThan(0)
  expect(at.events('ledger.recovered').length).toBeGreaterThan(0)
})

test('FLUSHALL while stopped: what wrote to a ledger before does not begin a new one', async () => {
  const bought = await at.buyBoth()
  await at.stack.programs.serve?.kill('SIGTERM')
  await at.stack.programs.worker?.kill('SIGTERM')
  await at.raw.flushall()
  await at.stack.start('serve')
  await at.stack.start('worker')
  expectProblem(await at.stack.call('POST', '/v1/tasks', { token: at.token, body: { purpose: 'x' } }), rolledBack)
  await until(
    async () => (await at.problems()).rolled_back ?? '',
    (text) => text.includes('hallpass recover'),
  )
  expect(await at.raw.exists(`{${at.stack.redis.prefix}}:incarnation`)).toBe(0)
  expect((await at.stack.run('recover', '--apply', join(at.stack.directory, 'audit'))).code).toBe(0)
  await at.stack.untilReady()
  await at.expectRestored(bought)
})

test('a lock that Redis lost stops its target again, and what the target had is revoked', async () => {
  const bought = await at.buyBoth()
  const operator = await at.stack.operatorToken()
  const account = { account: 'ci:1296269' }
  const lock = (target: object, more: object = {}) =>
    at.stack.call('POST', '/v1/locks', { token: operator, body: { target, reason: 'laptop stolen', ...more } })
  // One that was removed, one that is over by then, and one that stands.
  const removed = await lock({ resource: 'repo:acme/web' })
  const gone = await at.stack.call('DELETE', `/v1/locks/${removed.body.id}`, { token: operator })
  const over = await lock({ provider: 'vault' }, { expires_at: new Date(Date.now() + 6000).toISOString() })
  const standing = await lock(account)
  expect([removed.status, gone.status, over.status, standing.status]).toEqual([201, 200, 201, 201])
  await new Promise((resolve) => setTimeout(resolve, 6100))
  await at.raw.flushall()
  expect((await at.stack.run('recover', '--apply')).code).toBe(0)
  await at.stack.untilReady(30)

  expectProblem(await at.ask(), { status: 403, code: 'locked' })
  const { locks } = (await at.stack.call('GET', '/v1/locks', { token: operator })).body as { locks: { id: string }[] }
  expect(locks).toEqual([standing.body])
  await until(
    () => at.stack.call('GET', `/v1/leases/${bought.lease}`, { token: at.token }),
    ({ body }) => body.state === 'revoked',
  )
  await until(
    () => at.beside.vault.alive().accessors,
    (accessors) => accessors.length === 0,
  )
  expect(await introspect(at.stack, at.token, bought.secret)).toMatchObject({ active: false })
  expect((await at.stack.call('DELETE', `/v1/locks/${standing.body.id}`, { token: operator })).status).toBe(200)
  expect((await at.ask()).status).toBe(201)
})

test('recover --revoke-now kills what lives at a Vault with Redis stopped, and says of tokens that it cannot know', async () => {
  const bought = await at.buyBoth()
  expect(at.beside.vault.alive().accessors.length).toBe(1)
  await at.stack.programs.worker?.kill('SIGKILL')
  await at.redis.kill()
  const { code, stdout } = await at.stack.run('recover', '--revoke-now', '--output', 'json')
  expect(code).toBe(0)
  expect(at.beside.vault.alive().accessors).toEqual([])
  const { receipts } = JSON.parse(stdout) as { receipts: { lease_id: string; provider: string; outcome: string }[] }
  expect(receipts.find(({ provider }) => provider === 'vault')).toMatchObject({ outcome: 'confirmed' })
  expect(receipts.find(({ lease_id }) => lease_id === bought.lease)).toMatchObject({ outcome: 'pending' })
  expect(at.events('lease.ended').filter(({ actor }) => actor === 'local:recover').length).toBe(1)
  // What was not seen dead was ordered to end: whoever rebuilds the ledger later does not bring it back as alive.
  const later = await at.stack.run('recover', '--output', 'json')
  const { leases } = JSON.parse(later.stdout) as { leases: { id: string; would: string }[] }
  expect(leases).toContainEqual(expect.objectContaining({ id: bought.lease, would: 'revoke' }))
  await at.redis.restart()
  await at.stack.start('worker')
  // And where the ledger was only away, and so is not rebuilt, the programs on this host carry the order into it.
  await until(
    () => at.stack.call('GET', `/v1/leases/${bought.lease}`, { token: at.token }),
    ({ status, body }) => status === 200 && body.state === 'revoked',
    60,
  )
  expect(await introspect(at.stack, at.token, bought.secret)).toMatchObject({ active: false })
})

test('a Redis that evicts is refused at start', async () => {
  await at.stack.programs.serve?.kill('SIGTERM')
  await at.raw.config('SET', 'maxmemory-policy', 'allkeys-lru')
  const serve = at.stack.spawn('serve')
  await until(
    async () => serve.lastWords(),
    (text) => text.includes('maxmemory-policy is allkeys-lru'),
    60,
  )
})
