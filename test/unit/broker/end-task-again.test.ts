// What is left of a task's end is carried through by whoever looks next, as it was begun; and it reaches all that is below.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { endTask } from '../../../src/broker/end-task.js'
import { aChildOf, aTask, openTask } from '../../support/ledger.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})

const endingsOf = async (lease: string) =>
  (await story.records('lease.ending')).filter((one) => one.lease === lease).map(({ reason }) => reason)

test.each([
  ['revoked', 'revoked'],
  ['abandoned', 'abandoned'],
  ['deadline', 'deadline'],
  ['failed', 'completed'],
])('a task that somebody began to end as %s: its leases end as %s, whoever is next', async (outcome, reason) => {
  const { lease, task } = await story.bought()
  await story.parts.ledger.endTask(task.id, outcome)
  await endTask(story.parts, task.id, { outcome: outcome === 'deadline' ? 'succeeded' : 'deadline', actor: 'sweeper' })
  expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', endReason: reason, endActor: 'sweeper' })
  expect(await endingsOf(lease.id)).toEqual([reason])
  const records = (await story.records('task.ended')).filter((one) => one.task === task.id)
  expect(records).toMatchObject([{ outcome }])
  expect(await story.at.raw.zscore(`${story.at.tag}due:tasks`, task.id)).toBeNull()
})

test('a lease that was ending before is not said to end once more', async () => {
  const { lease, task } = await story.bought()
  await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller' })
  expect(await story.endTask(task)).toEqual([lease.id])
  expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', endReason: 'released' })
  expect(await endingsOf(lease.id)).toEqual([])
})

test('who is below a task whose worker is gone ends with it, heard of or not', async () => {
  const heartbeat = { everyMs: 60_000, firstMs: 60_000 }
  const parent = await openTask(story.parts.ledger, aTask(), { heartbeat })
  const child = await openTask(story.parts.ledger, aChildOf(parent), { heartbeat })
  await story.at.raw.hset(`${story.at.tag}t:${parent.id}`, 'beaten', 1)
  await endTask(story.parts, parent.id, { outcome: 'abandoned', actor: 'sweeper' })
  for (const { id } of [parent, child])
    expect(await story.parts.ledger.findTask(id)).toMatchObject({ state: 'ended', outcome: 'abandoned' })
})

test('a child that ended so long ago that Redis has forgotten it keeps nobody from ending the rest', async () => {
  const caller = story.caller()
  const parent = await story.task(caller)
  const [forgotten, other] = [aChildOf(parent), aChildOf(parent)]
  for (const child of [forgotten, other]) await openTask(story.parts.ledger, child)
  const { lease } = await story.buy(caller, other)
  await story.at.raw.del(`${story.at.tag}t:${forgotten.id}`)
  expect(await story.endTask(parent)).toEqual([lease.id])
  expect(await story.parts.ledger.findTask(other.id)).toMatchObject({ state: 'ended' })
  expect((await story.finish(lease.id)).state).toBe('revoked')
})
