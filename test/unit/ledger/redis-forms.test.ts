// The stories on Redis as operators run it: one server, behind sentinels, as a cluster, over TLS. Jobs and sweeps run as in a
// worker's process, so that BullMQ's queues are used under their own tags too.
import { describe, expect, test } from '@jest/globals'
import { awaitReceipts } from '../../../src/broker/await-receipts.js'
import {
  ask,
  calm,
  eventually,
  type RedisForm,
  startCluster,
  startPlain,
  startSentinels,
  startTls,
} from '../../support/redis-forms.js'
import { representativeStories, untilEnded, withWorkers } from '../../support/representative-stories.js'
import { codeOf } from '../../support/story.js'

describe.each([
  ['one server', () => startPlain()],
  ['behind sentinels', () => startSentinels(calm)],
  ['a cluster', () => startCluster(calm)],
  ['over TLS', startTls],
] as const)('on %s', (_name, start) => {
  test('credentials are issued, and end by completion, deadline, order and retry', async () => {
    await withWorkers(await start(), representativeStories)
  }, 240_000)
})

describe('a failover', () => {
  test('behind sentinels: the primary dies, the replica goes on, and every lease still ends', async () => {
    await withWorkers(await startSentinels(), async (story, redis) => {
      const [primary, replica] = redis.nodes
      if (!primary || !replica) throw new Error('two servers')
      const held = await story.bought()
      const late = await story.bought({ ttl_seconds: 10 })
      expect(await ask(primary.port, (one) => one.wait(1, 5000))).toBe(1)
      await primary.kill()
      expect(await codeOf(story.task(story.caller()))).toBe('ledger_unavailable')
      await eventually(async () => String(await ask(replica.port, (one) => one.call('ROLE'))).startsWith('master'))
      await eventually(async () => Boolean(await story.bought()))
      await untilEnded(story, late.lease.id)
      const [ended] = await awaitReceipts(story.parts, await story.endTask(held.task), 40_000)
      expect(ended).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
    })
  }, 240_000)

  test('of a cluster: the primary that holds the ledger dies, its replica goes on, and every lease still ends', async () => {
    await withWorkers(await startCluster(), async (story, redis) => {
      const held = await story.bought()
      const late = await story.bought({ ttl_seconds: 10 })
      const primary = await primaryOf(redis)
      expect(await ask(primary.port, (one) => one.wait(1, 5000))).toBe(1)
      await primary.kill()
      expect(await codeOf(story.task(story.caller()))).toBe('ledger_unavailable')
      await eventually(async () => Boolean(await story.bought()))
      await untilEnded(story, late.lease.id)
      const [ended] = await awaitReceipts(story.parts, await story.endTask(held.task), 40_000)
      expect(ended).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
    })
  }, 240_000)
})

/** The node that holds the ledger's slot. */
async function primaryOf(redis: RedisForm) {
  for (const node of redis.nodes.slice(0, 3)) {
    const found = await ask(node.port, (one) => one.get(`{${redis.prefix}}:incarnation`)).catch(() => null)
    if (found !== null) return node
  }
  throw new Error('nobody holds the ledger')
}
