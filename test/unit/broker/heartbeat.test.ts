// A task whose worker is gone: ended as abandoned, with everything below it, and its leases with the reason.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { endTask } from '../../../src/broker/end-task.js'
import { heartbeat } from '../../../src/broker/heartbeat.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Task } from '../../../src/ledger/task.js'
import { asking, codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  // The first heartbeat is waited for so much longer, where a mint takes its time: as long as no machine stands still.
  story = await startStory({ provider: { timeoutSeconds: 20 } })
})
afterAll(async () => {
  await story.close()
})

/**
 * As if its worker had not been heard of for so long, while brokers took requests and workers swept. Their signs are of the time
 * to come: a machine that stands still for seconds would else be an outage of ours, which is never held against a task.
 */
async function silentFor(task: Task, ms: number) {
  const { raw, tag } = story.at
  await raw.hincrby(`${tag}t:${task.id}`, 'beaten', -ms)
  await raw.zincrby(`${tag}due:tasks`, -ms, task.id)
  const ahead = (await story.parts.ledger.now()) + 60_000
  for (const sign of ['swept', 'served']) await raw.set(`${tag}${sign}`, ahead)
  await raw.del(`${tag}gap`)
}

async function opening(story: Story, heartbeat_seconds: number) {
  // The sign that somebody sweeps, without which nothing is issued.
  await story.parts.ledger.takeDue([], 1)
  const request = { purpose: 'a story', heartbeat_seconds, credentials: [asking()] }
  return await openTask(story.parts, story.caller(), request, null)
}

test('missed: the task ends as abandoned, its lease is revoked, and the audit says why', async () => {
  await story.parts.ledger.noteServing()
  const { task, credentials } = await opening(story, 60)
  const lease = credentials[0]?.lease.id ?? ''
  await silentFor(task, 40_000)
  await story.sweep()
  expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ state: 'open' })
  await silentFor(task, 21_000)
  await story.sweep()
  expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ state: 'ended', outcome: 'abandoned' })
  expect(await story.finish(lease)).toMatchObject({ state: 'revoked', endReason: 'abandoned', endActor: 'sweeper' })
  expect(story.far.alive()).not.toContain(lease)
  expect(await codeOf(heartbeat(story.parts, task))).toBe('task_closed')
  const ended = (await story.records('task.ended')).find((record) => record.task === task.id)
  expect(ended).toMatchObject({ outcome: 'abandoned', actor: 'sweeper' })
})

test('kept: nothing ends', async () => {
  await story.parts.ledger.noteServing()
  const { task, credentials } = await opening(story, 60)
  for (let i = 0; i < 5; i++) {
    await silentFor(task, 40_000)
    expect(await heartbeat(story.parts, task)).toBeGreaterThan(Date.now())
    await story.sweep()
  }
  expect((await story.lease(credentials[0]?.lease.id ?? '')).state).toBe('active')
})

test('a mint that takes longer than the interval is not held against the caller', async () => {
  await story.parts.ledger.noteServing()
  story.far.mood.create = 'slow'
  story.far.slowMs = 700
  const opened = opening(story, 0.3)
  for (let i = 0; i < 6; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    await story.sweep()
  }
  expect((await opened).credentials[0]?.lease.state).toBe('active')
  story.far.calm()
})

// Found missing by one worker, answered by a broker before that worker came to it: what was said to the caller holds.
test('one that came after it was found missing is not ended', async () => {
  await story.parts.ledger.noteServing()
  const { task, credentials } = await opening(story, 60)
  await silentFor(task, 61_000)
  expect(await story.parts.ledger.takeDueTasks(100)).toContainEqual({ task: task.id, outcome: 'abandoned' })
  expect(await heartbeat(story.parts, task)).toBeGreaterThan(Date.now())
  expect(await endTask(story.parts, task.id, { outcome: 'abandoned', actor: 'sweeper' })).toEqual([])
  expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ state: 'open' })
  expect((await story.lease(credentials[0]?.lease.id ?? '')).state).toBe('active')
  expect((await story.records('task.ended')).filter((record) => record.task === task.id)).toEqual([])
  await silentFor(task, 61_000)
  await endTask(story.parts, task.id, { outcome: 'abandoned', actor: 'sweeper' })
  expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ state: 'ended', outcome: 'abandoned' })
})
