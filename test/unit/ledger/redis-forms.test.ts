// The stories on Redis as operators run it: one server, behind sentinels, as a cluster, over TLS. Jobs and sweeps run as in a
// worker's process, so that BullMQ's queues are used under their own tags too.
import { describe, expect, test } from '@jest/globals'
import type { RevocationRequest } from '../../../src/api/revocations.js'
import { awaitReceipts } from '../../../src/broker/await-receipts.js'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import { isEnded } from '../../../src/ledger/lease.js'
import { startRevocationWorkers } from '../../../src/worker/revocation-worker.js'
import { startSweeper } from '../../../src/worker/sweeper.js'
import {
  ask,
  eventually,
  type RedisForm,
  startCluster,
  startPlain,
  startSentinels,
  startTls,
} from '../../support/redis-forms.js'
import { codeOf, type Story, stage } from '../../support/story.js'

/** Runs the work with a broker, workers and a sweeper on that form. */
async function on(start: () => Promise<RedisForm>, work: (story: Story, redis: RedisForm) => Promise<void>) {
  const redis = await start()
  const story = await stage(redis, { provider: { timeoutSeconds: 2 } })
  const workers = startRevocationWorkers(story.parts, story.broker.connectPatient, redis.prefix)
  const sweeper = startSweeper(story.parts)
  try {
    await work(story, redis)
  } finally {
    await Promise.all([sweeper.stop(), workers.drain()])
    await story.close()
  }
}

async function untilEnded(story: Story, lease: string, withinMs = 15_000) {
  await eventually(async () => isEnded((await story.lease(lease)).state), withinMs)
  return await story.lease(lease)
}

/** Exchange, idempotency, complete, release by order, deadline, a failing provider: each to its receipt. */
async function representativeStories(story: Story) {
  const caller = story.caller()
  const task = await story.task(caller)
  const key = { key: 'k', bodySha256: '0'.repeat(64) }
  const { lease } = await story.buy(caller, task, {}, key)
  expect(await codeOf(story.buy(caller, task, {}, key))).toBe('already_issued')
  const [ended] = await awaitReceipts(story.parts, await story.endTask(task), 5000)
  expect(ended).toMatchObject({ id: lease.id, state: 'revoked', attempts: 1, receipt: { outcome: 'confirmed' } })
  expect(await codeOf(story.buy(caller, task))).toBe('task_closed')

  const late = await story.bought({ ttl_seconds: 1 })
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

describe.each([
  ['one server', () => startPlain()],
  ['behind sentinels', startSentinels],
  ['a cluster', startCluster],
  ['over TLS', startTls],
] as const)('on %s', (_name, start) => {
  test('credentials are issued, and end by completion, deadline, order and retry', async () => {
    await on(start, representativeStories)
  }, 90_000)
})

describe('a failover', () => {
  test('behind sentinels: the primary dies, the replica goes on, and every lease still ends', async () => {
    await on(startSentinels, async (story, redis) => {
      const [primary, replica] = redis.nodes
      if (!primary || !replica) throw new Error('two servers')
      const held = await story.bought()
      const late = await story.bought({ ttl_seconds: 3 })
      await ask(primary.port, (one) => one.wait(1, 2000))
      await primary.kill()
      expect(await codeOf(story.task(story.caller()))).toBe('ledger_unavailable')
      await eventually(async () => String(await ask(replica.port, (one) => one.call('ROLE'))).startsWith('master'))
      await eventually(async () => Boolean(await story.bought()))
      await untilEnded(story, late.lease.id)
      const [ended] = await awaitReceipts(story.parts, await story.endTask(held.task), 10_000)
      expect(ended).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
    })
  }, 90_000)

  test('of a cluster: the primary that holds the ledger dies, its replica goes on, and every lease still ends', async () => {
    await on(startCluster, async (story, redis) => {
      const held = await story.bought()
      const late = await story.bought({ ttl_seconds: 3 })
      const primary = await primaryOf(redis)
      await ask(primary.port, (one) => one.wait(1, 2000))
      await primary.kill()
      expect(await codeOf(story.task(story.caller()))).toBe('ledger_unavailable')
      await eventually(async () => Boolean(await story.bought()))
      await untilEnded(story, late.lease.id)
      const [ended] = await awaitReceipts(story.parts, await story.endTask(held.task), 10_000)
      expect(ended).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
    })
  }, 90_000)
})

/** The node that holds the ledger's slot. */
async function primaryOf(redis: RedisForm) {
  for (const node of redis.nodes.slice(0, 3)) {
    const found = await ask(node.port, (one) => one.get(`{${redis.prefix}}:incarnation`)).catch(() => null)
    if (found !== null) return node
  }
  throw new Error('nobody holds the ledger')
}
