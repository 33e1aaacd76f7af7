// Redis goes back: to a snapshot, by its last second, or to what a replica had heard of. It is noticed before the next credential,
// and what was lost is written again from the audit.
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { type Forgetful, portOf, rolledBack, startForgetful } from '../support/lost-redis.js'
import { startOwnRedis } from '../support/redis.js'
import { expectProblem, until } from '../support/wire-checks.js'

let at: Forgetful
beforeAll(async () => {
  at = await startForgetful()
})
beforeEach(() => at.begin())
afterAll(async () => {
  await at?.stop()
})

test('a snapshot of an hour ago is noticed, what came after it is written again, and an operator resumes it', async () => {
  const folder = String(((await at.raw.config('GET', 'dir')) as string[])[1])
  await at.redis.kill()
  cpSync(folder, `${folder}-old`, { recursive: true })
  await at.redis.restart()
  await at.stack.untilReady()
  const bought = await at.buyBoth()
  await at.redis.kill()
  at.relay.turnTo(1)
  rmSync(folder, { recursive: true, force: true })
  cpSync(`${folder}-old`, folder, { recursive: true })
  rmSync(`${folder}-old`, { recursive: true, force: true })
  await at.redis.restart()
  // As if it had been taken an hour earlier than it was: nobody who waits for the test has that long.
  const wal = `{${at.stack.redis.prefix}}:wal`
  for (const [name, value] of Object.entries(await at.raw.hgetall(wal)))
    if (name.endsWith('/t')) await at.raw.hset(wal, name, String(Number(value) - 3_600_000))
  at.relay.turnTo(portOf(at.redis.url))
  await until(
    async () => (await at.problems()).rolled_back ?? '',
    (text) => text.includes('went back to a snapshot'),
  )
  // Written again at once, so that it can be revoked; nothing more is issued, also by a broker that starts now.
  await until(
    () => at.raw.exists(`{${at.stack.redis.prefix}}:l:${bought.lease}`),
    (there) => there === 1,
  )
  expectProblem(await at.ask(), rolledBack)
  await at.stack.restart('serve')
  expectProblem(await at.ask(), rolledBack)

  const shown = await at.stack.run('recover')
  expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(bought.lease) })
  expectProblem(await at.ask(), rolledBack)
  expect((await at.stack.run('recover', '--apply')).code).toBe(0)
  await at.stack.untilReady(30)
  expect((await at.ask()).status).toBe(201)
  await at.expectRestored(bought)
})

test('a snapshot of just now is noticed, and what came after it is written again', async () => {
  const folder = String(((await at.raw.config('GET', 'dir')) as string[])[1])
  await at.redis.kill()
  cpSync(folder, `${folder}-old`, { recursive: true })
  await at.redis.restart()
  await at.stack.untilReady()
  const bought = await at.buyBoth()
  await at.redis.kill()
  rmSync(folder, { recursive: true, force: true })
  cpSync(`${folder}-old`, folder, { recursive: true })
  rmSync(`${folder}-old`, { recursive: true, force: true })
  await at.redis.restart()
  await at.firstAfter(bought.lease)
  expect(at.events('ledger.replayed').length).toBeGreaterThan(0)
  await at.expectRestored(bought)
})

test('a cut tail of the append-only file is noticed, and what stood in it is written again', async () => {
  const before = at.events('ledger.replayed').length
  const folder = join(String(((await at.raw.config('GET', 'dir')) as string[])[1]), 'appendonlydir')
  const tail = join(folder, readdirSync(folder).find((name) => name.endsWith('.incr.aof')) ?? '')
  const size = statSync(tail).size
  const bought = await at.buyBoth()
  await at.redis.kill()
  // In the middle of a command, as a power cut leaves it.
  truncateSync(tail, size + 5)
  await at.redis.restart()
  await at.firstAfter(bought.lease)
  expect(at.events('ledger.replayed').length).toBeGreaterThan(before)
  await at.expectRestored(bought)
})

test('a promoted replica that lagged is noticed, and what it had not heard of is written again', async () => {
  const before = at.events('ledger.replayed').length
  const replica = await startOwnRedis()
  const second = new Redis(replica.url)
  try {
    await second.replicaof('127.0.0.1', portOf(at.redis.url))
    await until(
      () => second.info('replication'),
      (text) => text.includes('master_link_status:up'),
    )
    await until(
      () => second.exists(`{${at.stack.redis.prefix}}:incarnation`),
      (there) => there === 1,
    )
    // Cut off from its primary: everything from here on is unknown to it.
    await second.replicaof('NO', 'ONE')
    // Where it was seen it is waited for, until a beat has seen that it is gone.
    await until(
      async () => (await at.ask()).status,
      (status) => status === 201,
    )
    const bought = await at.buyBoth()
    await at.redis.kill()
    at.relay.turnTo(portOf(replica.url))
    await at.firstAfter(bought.lease, second)
    expect(at.events('ledger.replayed').length).toBeGreaterThan(before)
    await at.expectRestored(bought)
  } finally {
    second.disconnect()
    // While it writes its first append-only file, behind a full sync, it takes no SIGTERM.
    await replica.kill()
    await replica.stop()
  }
})
