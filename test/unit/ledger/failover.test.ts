// A primary dies right behind an answer, comes back as a replica, or hands over while all go on talking: nothing that was answered
// is unknown to the one that goes on, and nothing is decided there before every instance has said what it had written.
import { describe, expect, test } from '@jest/globals'
import { awaitReceipts } from '../../../src/broker/await-receipts.js'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { type Continuity, openContinuity } from '../../../src/ledger/continuity.js'
import { ask, eventually, type RedisForm, startCluster, startSentinels } from '../../support/redis-forms.js'
import { untilBought, withWatchedWorkers } from '../../support/representative-stories.js'
import type { Story } from '../../support/story.js'

const known = (redis: RedisForm, port: number, lease: string) =>
  ask(port, (one) => one.hmget(`{${redis.prefix}}:l:${lease}`, 'state', 'issued'))
const replicasOf = (story: Story) => story.broker.continuity?.server.replicas

describe('behind sentinels', () => {
  test('what was answered is known to the promoted replica; the old primary comes back as a replica that is waited for', async () => {
    await withWatchedWorkers(await startSentinels(), async (story, redis) => {
      const [primary, replica] = redis.nodes
      if (!primary || !replica) throw new Error('two servers')
      await eventually(async () => replicasOf(story) === 1)
      const held = await untilBought(story, 6)
      await primary.kill()
      for (const { lease } of held)
        expect(await known(redis, replica.port, lease.id)).toEqual(['active', expect.anything()])
      await untilBought(story, 1)
      expect(replicasOf(story)).toBe(0)
      await primary.restart()
      await eventually(async () => replicasOf(story) === 1, 90_000)
      const [late] = await untilBought(story, 1)
      if (!late) throw new Error('none')
      expect(await known(redis, primary.port, late.lease.id)).toEqual(['active', expect.anything()])
      for (const { task } of [...held, late]) {
        const [ended] = await awaitReceipts(story.parts, await story.endTask(task), 40_000)
        expect(ended).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
      }
    })
  }, 300_000)
})

describe('of a cluster', () => {
  test('what was answered is known to the replica that goes on', async () => {
    await withWatchedWorkers(await startCluster(), async (story, redis) => {
      await eventually(async () => replicasOf(story) === 1)
      const held = await untilBought(story, 6)
      const { holder } = await serversOf(redis)
      await holder.kill()
      await untilBought(story, 1)
      for (const { lease } of held) expect((await story.lease(lease.id)).state).toBe('active')
      for (const { task } of held) {
        const [ended] = await awaitReceipts(story.parts, await story.endTask(task), 40_000)
        expect(ended).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
      }
    })
  }, 300_000)

  test('a replica that takes over from a primary which stays is doubted, though no connection broke', async () => {
    const redis = await startCluster()
    const commands = connectFailFast(redis, () => undefined)
    try {
      await untilReady(commands, 30_000)
      const told = { redis: commands, prefix: redis.prefix, known: null, sequence: () => 0 }
      const open = (instance: string) => openContinuity({ ...told, instance, monotonic: () => performance.now() })
      const [one, other] = [await open('one'), await open('other')]
      await other.beat()
      await eventually(async () => (await one.beat()).outcome === 'ok' && one.doubt === null)
      const { holder, replica } = await serversOf(redis)
      // Lost beats would be another story.
      expect(await ask(holder.port, (raw) => raw.wait(1, 5000))).toBe(1)
      await ask(replica.port, (raw) => raw.call('CLUSTER', 'FAILOVER', 'TAKEOVER'))
      // A beat that the old one took until it knew is lost with it; there is nothing to be replayed here.
      const beat = async (instance: Continuity) => {
        if ((await instance.beat()).outcome === 'behind') await instance.beat(true)
      }
      await eventually(async () => {
        await beat(one)
        return one.doubt?.includes('waiting to hear from other') ?? false
      })
      await eventually(async () => {
        await beat(other)
        await beat(one)
        return one.doubt === null
      })
      expect(await ask(holder.port, (raw) => raw.info('replication'))).toContain('role:slave')
    } finally {
      commands.disconnect()
      await redis.stop()
    }
  }, 300_000)
})

/** The primary that holds the ledger's slot, and its replica. */
async function serversOf(redis: RedisForm) {
  const roles = await Promise.all(
    redis.nodes.map(async (node) => {
      const slot = await ask(node.port, (raw) => raw.call('CLUSTER', 'KEYSLOT', `{${redis.prefix}}:`))
      const shards = (await ask(node.port, (raw) => raw.call('CLUSTER', 'SLOTS'))) as [
        number,
        number,
        ...[string, number][],
      ][]
      const [, , primary, replica] = shards.find(([from, to]) => from <= Number(slot) && Number(slot) <= to) ?? []
      return [primary?.[1] === node.port ? 'holder' : replica?.[1] === node.port ? 'replica' : '', node] as const
    }),
  )
  const { holder, replica } = Object.fromEntries(roles)
  if (!holder || !replica) throw new Error('nobody holds the ledger')
  return { holder, replica }
}
