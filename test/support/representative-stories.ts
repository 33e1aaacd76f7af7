// A part of the story suites that touches every script and both queues' ends, for each form of Redis.
import { expect } from '@jest/globals'
import type { RevocationRequest } from '../../src/api/revocations.js'
import { awaitReceipts } from '../../src/broker/await-receipts.js'
import { forceRevoke } from '../../src/broker/force-revoke.js'
import { isEnded } from '../../src/ledger/lease.js'
import { startRevocationWorkers } from '../../src/worker/revocation-worker.js'
import { startSweeper } from '../../src/worker/sweeper.js'
import { eventually, type RedisForm } from './redis-forms.js'
import { codeOf, type Story, stage } from './story.js'

type Step = (story: Story, redis: RedisForm) => Promise<void>

/** Runs the work with a broker, workers and a sweeper on that form. */
export const withWorkers = (redis: RedisForm, ...steps: readonly Step[]) => runWithWorkers(redis, false, steps)

/** The same with a broker that beats, and so asks replicas: on a busy machine one of them may be late. */
export const withWatchedWorkers = (redis: RedisForm, ...steps: readonly Step[]) => runWithWorkers(redis, true, steps)

async function runWithWorkers(redis: RedisForm, watched: boolean, steps: readonly Step[]): Promise<void> {
  const story = await stage(redis, { provider: { timeoutSeconds: 20 }, watched })
  const workers = startRevocationWorkers(story.parts, story.broker.connectPatient, redis.prefix)
  const sweeper = startSweeper(story.parts)
  try {
    for (const step of steps) await step(story, redis)
  } finally {
    // As a program does: a queue's connection to a cluster that changes at this moment may not end at all.
    await Promise.all([sweeper.stop(), workers.drain(30_000)])
    await story.close()
  }
}

/** As many answers, however often it takes. */
export async function untilBought(story: Story, count: number) {
  const bought: Awaited<ReturnType<Story['bought']>>[] = []
  await eventually(async () => {
    const all = await Promise.allSettled(Array.from({ length: count - bought.length }, () => story.bought()))
    for (const one of all) if (one.status === 'fulfilled') bought.push(one.value)
    return bought.length === count
  }, 90_000)
  return bought
}

export async function untilEnded(story: Story, lease: string, withinMs = 90_000) {
  await eventually(async () => isEnded((await story.lease(lease)).state), withinMs)
  return await story.lease(lease)
}

/** Exchange, idempotency, complete, release by order, deadline, a failing provider: each to its receipt. */
export async function representativeStories(story: Story) {
  const caller = story.caller()
  const task = await story.task(caller)
  const key = { key: 'k', bodySha256: '0'.repeat(64) }
  const { lease } = await story.buy(caller, task, {}, key)
  expect(await codeOf(story.buy(caller, task, {}, key))).toBe('already_issued')
  const [ended] = await awaitReceipts(story.parts, await story.endTask(task), 30_000)
  expect(ended).toMatchObject({ id: lease.id, state: 'revoked', attempts: 1, receipt: { outcome: 'confirmed' } })
  expect(await codeOf(story.buy(caller, task))).toBe('task_closed')

  // Minting has no longer than the lease: long enough for a busy machine, and short enough to wait for.
  const late = await story.bought({ ttl_seconds: 8 })
  expect(await untilEnded(story, late.lease.id)).toMatchObject({ state: 'expired' })

  const ordered = await story.bought()
  const target = { account: ordered.caller.principal.account }
  await forceRevoke(story.parts, story.operator(), { target, reason: 'a test' } as RevocationRequest)
  expect(await untilEnded(story, ordered.lease.id)).toMatchObject({ state: 'revoked' })

  const stubborn = await story.bought()
  story.far.mood.revoke = 'fails'
  await story.endTask(stubborn.task)
  await eventually(async () => (await story.lease(stubborn.lease.id)).attempts >= 2)
  story.far.calm()
  await untilEnded(story, stubborn.lease.id)

  expect(story.far.alive()).toEqual([])
  const counts = await story.parts.ledger.counts(['far'])
  expect(counts.providers).toEqual([{ provider: 'far', states: {}, oldestOverdueMs: 0 }])
  expect(await story.parts.queue.depths(['far'])).toEqual([{ provider: 'far', waiting: 0, active: 0 }])
}
