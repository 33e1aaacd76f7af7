// The end of a worker's process: what is under way is finished, or handed back in time for another to take it at once.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { startRevocationWorkers } from '../../../src/worker/revocation-worker.js'
import { startSweeper } from '../../../src/worker/sweeper.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ provider: { timeoutSeconds: 20, concurrency: 4 } })
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => story.far.calm())

const startWorkers = () => startRevocationWorkers(story.parts, story.broker.connectPatient, story.redis.prefix)
const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}

test('a revocation under way is finished', async () => {
  const workers = startWorkers()
  const { lease, task } = await story.bought()
  story.far.mood.revoke = 'slow'
  await story.endTask(task)
  await until(() => story.far.count('revoke') === 1)
  await workers.drain(15_000)
  expect(await story.lease(lease.id)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
})

test('a provider that hangs keeps nobody: the claim is handed back, uncounted, and another takes it at once', async () => {
  const workers = startWorkers()
  const { lease, task } = await story.bought()
  story.far.mood.revoke = 'hangs'
  await story.endTask(task)
  await until(() => story.far.count('revoke') === 1)
  const started = performance.now()
  await workers.drain(500)
  // The provider would take its 20 s.
  expect(performance.now() - started).toBeLessThan(15_000)
  expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', attempts: 0 })
  story.far.calm()
  expect(await story.attempt(lease.id)).toMatchObject({ state: 'revoked', attempts: 1 })
})

test('so does what the sweeper does itself', async () => {
  const { lease, task } = await story.bought()
  story.far.mood.revoke = 'hangs'
  await story.endTask(task)
  await story.at.raw.hset(`${story.at.tag}l:${lease.id}`, 'handed', 1)
  const sweeper = startSweeper(story.parts)
  await until(() => story.far.count('revoke') === 1)
  const started = performance.now()
  await sweeper.stop(500)
  // The provider would take its 20 s.
  expect(performance.now() - started).toBeLessThan(15_000)
  expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', attempts: 0 })
  story.far.calm()
  expect(await story.attempt(lease.id)).toMatchObject({ state: 'revoked' })
})
