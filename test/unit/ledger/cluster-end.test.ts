// Whoever has disconnected from a cluster is done with it: what went on would keep a command from ending.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Cluster } from 'ioredis'
import { connectPatient } from '../../../src/ledger/connection.js'
import { eventually, type RedisForm, startCluster } from '../../support/redis-forms.js'

let redis: RedisForm
beforeAll(async () => {
  redis = await startCluster()
}, 60_000)
afterAll(() => redis.stop())

function connected(): Cluster {
  const cluster = connectPatient(redis, () => undefined)
  if (!(cluster instanceof Cluster)) throw new Error('no cluster')
  return cluster
}

describe('a connection to a cluster that is ended while it looks at the slots', () => {
  test.each([
    ['itself', connected],
    [
      "BullMQ's second one of it",
      () => {
        const first = connected()
        const second = first.duplicate()
        first.disconnect()
        return second
      },
    ],
  ])(
    'looks no more: %s',
    async (_, connect) => {
      const cluster = connect()
      await eventually(async () => (await cluster.ping()) === 'PONG')
      let [isTold, isEnded, looks] = [false, false, 0]
      cluster.once('end', () => {
        isEnded = true
      })
      const look = cluster.refreshSlotsCache.bind(cluster)
      cluster.refreshSlotsCache = (done) => {
        look((error) => {
          if (isEnded) looks++
          done?.(error)
        })
        // The answer is still out.
        if (!isTold) cluster.disconnect()
        isTold = true
      }
      await eventually(async () => isEnded)
      // Three more of them, were there any: one a second.
      await new Promise((resolve) => setTimeout(resolve, 3500))
      expect(looks).toBeLessThanOrEqual(1)
    },
    60_000,
  )
})
