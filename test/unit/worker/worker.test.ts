// Jobs and sweeps together, as a worker's process runs them.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { awaitReceipts } from '../../../src/broker/await-receipts.js'
import { isEnded } from '../../../src/ledger/lease.js'
import { type RevocationWorkers, startRevocationWorkers } from '../../../src/worker/revocation-worker.js'
import { type Sweeper, startSweeper } from '../../../src/worker/sweeper.js'
import { type Story, startStory, startStoryOnOwnRedis } from '../../support/story.js'
import { quickestOf } from '../../support/wall-time.js'
import { until } from '../../support/wire-checks.js'

let story: Story
let workers: RevocationWorkers
let sweeper: Sweeper
beforeAll(async () => {
  story = await startStory({ provider: { timeoutSeconds: 20, concurrency: 2 } })
  workers = startRevocationWorkers(story.parts, story.broker.connectPatient, story.redis.prefix)
  sweeper = startSweeper(story.parts)
})
afterAll(async () => {
  await Promise.all([workers.drain(), sweeper.stop()])
  await story.close()
})
beforeEach(() => story.far.calm())

async function untilEnded(lease: string, withinMs: number): Promise<number> {
  const started = performance.now()
  while (performance.now() - started < withinMs) {
    if (isEnded((await story.lease(lease)).state)) return performance.now() - started
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${lease} still is ${(await story.lease(lease)).state} after ${withinMs} ms`)
}

describe('a worker', () => {
  test('ends what a completed task had, before anybody sweeps', async () => {
    const { lease, task } = await story.bought()
    const [ended] = await awaitReceipts(story.parts, await story.endTask(task), 30_000)
    expect(ended).toMatchObject({ id: lease.id, state: 'revoked', attempts: 1, receipt: { outcome: 'confirmed' } })
    expect(story.far.alive()).toEqual([])
  })

  test('ends what nobody ended, at its deadline', async () => {
    const late = async () => {
      const { lease } = await story.bought({ ttl_seconds: 8 })
      await untilEnded(lease.id, 60_000)
      const { endedAt, expiresAt, state } = await story.lease(lease.id)
      expect(state).toBe('expired')
      expect((endedAt ?? 0) - expiresAt).toBeGreaterThanOrEqual(0)
      return (endedAt ?? 0) - expiresAt
    }
    expect(await quickestOf(late, 2000, 5)).toBeLessThan(2000)
  })

  test('ends a task at its deadline', async () => {
    const caller = story.caller()
    const task = await story.task(caller, 10)
    const { lease } = await story.buy(caller, task)
    await untilEnded(lease.id, 30_000)
    const found = () => story.parts.ledger.findTask(task.id)
    expect(await until(found, (one) => one?.state === 'ended', 30)).toMatchObject({ outcome: 'deadline' })
  })

  test('comes back to a provider that failed', async () => {
    const { lease, task } = await story.bought()
    story.far.mood.revoke = 'fails'
    await story.endTask(task)
    await until(
      () => story.lease(lease.id),
      ({ attempts }) => attempts >= 2,
      30,
    )
    story.far.calm()
    await untilEnded(lease.id, 30_000)
  })

  test('is not kept from one provider by another that hangs', async () => {
    const stuck = []
    for (let i = 0; i < 6; i++) stuck.push(await story.bought())
    const other = await story.bought({ action: 'token.read' })
    story.far.mood.revoke = 'hangs'
    for (const { task } of stuck) await story.endTask(task)
    await story.endTask(other.task)
    // The other one would not be through before its 20 s.
    await untilEnded(other.lease.id, 15_000)
    story.far.calm()
    story.far.hangUp()
    for (const { lease } of stuck) await untilEnded(lease.id, 60_000)
  })
})

test('Redis dies and comes back: the worker goes on by itself, and every lease still ends', async () => {
  const { redis, story: own } = await startStoryOnOwnRedis()
  const jobs = startRevocationWorkers(own.parts, own.broker.connectPatient, own.redis.prefix)
  const sweeps = startSweeper(own.parts)
  try {
    const before = await own.bought({ ttl_seconds: 10 })
    const ordered = await own.bought()
    own.far.mood.revoke = 'slow'
    const ending = own.endTask(ordered.task)
    await ending
    await redis.kill()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await redis.restart()
    own.far.calm()
    for (const { lease } of [before, ordered]) {
      const found = () => own.parts.ledger.findLease(lease.id).catch(() => null)
      await until(found, (one) => one !== null && isEnded(one.state), 60)
    }
    expect(own.far.alive()).toEqual([])
    const after = await own.bought()
    const [ended] = await awaitReceipts(own.parts, await own.endTask(after.task), 30_000)
    expect(ended).toMatchObject({ state: 'revoked' })
  } finally {
    await Promise.all([jobs.drain(), sweeps.stop()])
    await own.close()
  }
}, 240_000)

test('a drained worker finishes what it has begun and begins nothing more', async () => {
  const one = await startStory()
  const jobs = startRevocationWorkers(one.parts, one.broker.connectPatient, one.redis.prefix)
  const sweeps = startSweeper(one.parts)
  try {
    const first = await one.bought()
    const second = await one.bought()
    one.far.mood.revoke = 'slow'
    one.far.slowMs = 800
    await one.endTask(first.task)
    while (one.far.count('revoke') === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    await Promise.all([jobs.drain(), sweeps.stop()])
    expect((await one.lease(first.lease.id)).state).toBe('revoked')
    await one.endTask(second.task)
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect((await one.lease(second.lease.id)).state).toBe('revoking')
  } finally {
    await one.close()
  }
})
