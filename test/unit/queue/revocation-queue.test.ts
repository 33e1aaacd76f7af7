import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Queue, Worker } from 'bullmq'
import { type Connection, connectFailFast, connectPatient, untilReady } from '../../../src/ledger/connection.js'
import {
  bulk,
  createRevocationQueue,
  interactive,
  queueName,
  queuePrefix,
  type RevocationQueue,
} from '../../../src/queue/revocation-queue.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'

let redis: TestRedis
let jobs: Connection
let queue: RevocationQueue
beforeAll(async () => {
  redis = await startTestRedis()
  jobs = connectFailFast(redis, () => undefined)
  await untilReady(jobs, 30_000)
  queue = createRevocationQueue(jobs, redis.prefix, () => undefined)
})
afterAll(async () => {
  await queue.close()
  jobs.disconnect()
  await redis.stop()
})

const due = (lease: string, provider: string, attempts = 0) => ({ lease, provider, attempts, waitingMs: 0 })

/** Works through what is queued for a provider; the leases in the order in which they came. */
async function workThrough(provider: string, count: number, fail = false): Promise<string[]> {
  const connection = connectPatient(redis, () => undefined)
  const seen: string[] = []
  const worker = new Worker<string>(
    queueName,
    async (job) => {
      seen.push(job.data)
      if (fail) throw new Error('an attempt that failed')
    },
    { connection, prefix: queuePrefix(redis.prefix, provider), concurrency: 1, skipVersionCheck: true },
  )
  worker.on('error', () => undefined)
  for (let i = 0; i < 1000 && seen.length < count; i++) await new Promise((resolve) => setTimeout(resolve, 20))
  await worker.close()
  connection.disconnect()
  return seen
}

async function countsOf(provider: string): Promise<Record<string, number>> {
  const reader = new Queue(queueName, {
    connection: jobs,
    prefix: queuePrefix(redis.prefix, provider),
    skipMetasUpdate: true,
  })
  const counts = await reader.getJobCounts()
  await reader.close()
  return counts
}

test('each provider has a queue of its own, under a hash tag of its own', async () => {
  await queue.add([due('lease_a', 'one'), due('lease_b', 'two'), due('lease_c', 'one')], interactive)
  expect(await workThrough('two', 1)).toEqual(['lease_b'])
  expect((await workThrough('one', 2)).sort()).toEqual(['lease_a', 'lease_c'])
})

test('whoever waits comes before bulk', async () => {
  await queue.add([due('lease_1', 'line'), due('lease_2', 'line')], bulk)
  await queue.add([due('lease_3', 'line')], interactive)
  expect((await workThrough('line', 3))[0]).toBe('lease_3')
})

test('the same attempt is queued once, the next one is another job', async () => {
  await queue.add([due('lease_x', 'dup')], interactive)
  await queue.add([due('lease_x', 'dup')], interactive)
  await queue.add([due('lease_x', 'dup', 1)], interactive)
  expect((await countsOf('dup')).waiting).toBe(2)
  expect(await workThrough('dup', 2)).toEqual(['lease_x', 'lease_x'])
})

test.each([false, true])(
  'a job that is over (failed: %s) is gone, so that the same attempt can be asked for again',
  async (fail) => {
    const provider = fail ? 'failing' : 'fine'
    for (let i = 0; i < 2; i++) {
      await queue.add([due('lease_x', provider)], interactive)
      expect(await workThrough(provider, 1, fail)).toEqual(['lease_x'])
      const counts = await countsOf(provider)
      expect([counts.completed, counts.failed, counts.delayed, counts.waiting, counts.prioritized]).toEqual([
        0, 0, 0, 0, 0,
      ])
    }
  },
)

test('nothing to add is no call', async () => {
  await queue.add([], interactive)
})
