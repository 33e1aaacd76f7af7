// Whether Redis still has what it acknowledged: each way in which it may not is seen by the next beat.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Redis } from 'ioredis'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { type ContinuityParts, keepContinuity } from '../../../src/broker/keep-continuity.js'
import { systemClock, toTimestamp } from '../../../src/core/clock.js'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { type Continuity, openContinuity } from '../../../src/ledger/continuity.js'
import { openRedisLedger } from '../../../src/ledger/redis-ledger.js'
import { createRestoration } from '../../../src/ledger/restoration.js'
import { openTask, openTestLedger, reserve, type TestLedger } from '../../support/ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'

let redis: TestRedis
let at: TestLedger
let connection: Redis
beforeAll(async () => {
  redis = await startTestRedis()
  at = await openTestLedger(redis)
  connection = connectFailFast(redis, () => undefined) as Redis
  await untilReady(connection, 30_000)
})
afterAll(async () => {
  connection?.disconnect()
  await at?.close()
  await redis?.stop()
})

let sequence = 0
let instances = 0
let instance = ''
let one: Continuity
const open = (name: string, known: string | null) =>
  openContinuity({
    redis: connection,
    prefix: redis.prefix,
    instance: name,
    known,
    sequence: () => sequence,
    monotonic: () => performance.now(),
  })
beforeEach(async () => {
  await at.raw.del(`${at.tag}paused`, `${at.tag}instances`)
  sequence = 5
  instance = `host-${++instances}`
  one = await open(instance, null)
  expect(await one.beat()).toEqual({ outcome: 'ok' })
  expect(one.doubt).toBeNull()
})

const wal = () => `${at.tag}wal`

test('a turn that Redis acknowledged and lacks is seen, also by a program that was just restarted', async () => {
  for (let i = 0; i < 5; i++) await one.beat()
  const restarted = await open(instance, one.incarnation)
  expect(await restarted.beat()).toEqual({ outcome: 'ok' })
  const before = await at.raw.hgetall(wal())
  await restarted.beat()
  await at.raw.hset(wal(), before)
  const answer = await restarted.beat()
  expect(answer).toMatchObject({ outcome: 'behind', wal: 5, wentBack: true, beatenAt: Number(before[`${instance}/t`]) })
  expect(restarted.doubt).toContain('rolled back')
  expect(await restarted.beat(true)).toEqual({ outcome: 'ok' })
  expect(restarted.doubt).toBeNull()
})

test('a reservation sees it by itself', async () => {
  const commands = connectFailFast(redis, () => undefined)
  const subscriber = connectFailFast(redis, () => undefined)
  await untilReady(subscriber, 30_000)
  const ledger = await openRedisLedger({ redis: commands, subscriber, prefix: redis.prefix, continuity: one })
  const task = await openTask(ledger)
  const before = await at.raw.hgetall(wal())
  await reserve(ledger, task)
  await at.raw.hset(wal(), before)
  await expect(reserve(ledger, task)).rejects.toThrow('rolled_back')
  expect(one.doubt).toContain('not as this broker left it')
  // Also where it has none at all of one that had a single turn.
  const fresh = await open(`${instance}-fresh`, null)
  await fresh.beat()
  await at.raw.hdel(wal(), `${instance}-fresh`, `${instance}-fresh/n`, `${instance}-fresh/t`)
  const early = await openRedisLedger({ redis: commands, subscriber, prefix: redis.prefix, continuity: fresh })
  await expect(reserve(early, task)).rejects.toThrow('rolled_back')
  await ledger.close()
})

test('after Redis was away the records since the last beat are asked for, though every turn is there', async () => {
  sequence = 7
  connection.emit('ready')
  expect(one.doubt).toContain('was away')
  expect(await one.beat()).toMatchObject({ outcome: 'behind', wal: 5, wentBack: false })
  expect(await one.beat(true)).toEqual({ outcome: 'ok' })
  expect(await one.beat()).toEqual({ outcome: 'ok' })
})

test('what was recorded before a first ledger is not missing in it', async () => {
  sequence = 900
  const fresh = await open('fresh', null)
  expect(await fresh.beat()).toEqual({ outcome: 'ok' })
})

test('another ledger is never written to, until it says that it was rebuilt from this one', async () => {
  const name = one.incarnation
  await at.raw.set(`${at.tag}incarnation`, 'another')
  expect(await one.beat()).toMatchObject({ outcome: 'lost', successor: null })
  expect(one.doubt).toContain('hallpass recover')
  await createRestoration(connection, redis.prefix).name('another', [name], new Map([[instance, 5]]))
  expect(await one.beat()).toEqual({ outcome: 'lost', successor: 'another', wal: 5 })
  one.adopt('another')
  expect(await one.beat(true)).toEqual({ outcome: 'ok' })
  await at.raw.set(`${at.tag}incarnation`, name)
})

test('paused, it issues nothing until it is resumed', async () => {
  const restoration = createRestoration(connection, redis.prefix)
  await restoration.pause('went back an hour')
  const task = await openTask(at.ledger)
  await expect(reserve(at.ledger, task)).rejects.toThrow('rolled_back')
  await one.beat()
  expect(one.doubt).toBe('went back an hour')
  await restoration.resume()
  await one.beat()
  expect(one.doubt).toBeNull()
  await expect(reserve(at.ledger, task)).resolves.toMatch(/^lease_/)
})

test('after Redis was away an instance seen just before is waited for', async () => {
  const two = await open('two', one.incarnation)
  await two.beat(true)
  await one.beat()
  one.suspect('Redis was away')
  await one.beat()
  expect(one.doubt).toContain('two')
  await new Promise((resolve) => setTimeout(resolve, 5))
  await two.beat()
  await one.beat()
  expect(one.doubt).toBeNull()
})

test.each([
  ['a minute and a half ahead', 0, null],
  ['right, and whose ledger went back that far', 90_000, /went back to a snapshot/],
])('a host whose clock is %s', async (_clock, awayMs, paused) => {
  const task = await openTask(at.ledger)
  const restarted = await open(instance, one.incarnation)
  const now = systemClock.now()
  const record = {
    event: 'task.opened',
    seq: 6,
    instance,
    // The host's own clock; what counts is what the ledger said.
    time: toTimestamp(now + 90_000),
    opened_at: toTimestamp(now),
    task: task.id,
    expires_at: toTimestamp(task.expiresAt),
  } as unknown as StoredRecord
  await at.raw.hincrby(wal(), `${instance}/t`, -awayMs)
  await at.raw.hset(wal(), instance, 4)
  const parts = {
    continuity: restarted,
    ledger: at.ledger,
    restoration: createRestoration(connection, redis.prefix),
    audit: { append: async () => undefined },
    log: { warn: () => undefined, error: () => undefined },
    ownRecords: async function* () {
      yield record
    },
    chainsBeside: async () => [],
    noteIncarnation: async () => undefined,
    memoryMs: 86_400_000,
  } as unknown as ContinuityParts
  await keepContinuity(parts)
  const why = await at.raw.get(`${at.tag}paused`)
  if (paused === null) expect(why).toBeNull()
  else expect(why).toMatch(paused)
})
