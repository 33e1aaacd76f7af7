// Heartbeats of tasks: who misses one is abandoned, and no outage of ours ever counts as theirs.
import { beforeEach, describe, expect, test } from '@jest/globals'
import type { Task } from '../../../src/ledger/task.js'
import { aChildOf, aTask, openTask } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { withinTime } from '../../support/wall-time.js'

const at = ledgerOfThisFile()
beforeEach(async () => {
  await signs()
  // What an earlier test's sweep handed out is due again after 2 s.
  await at.raw.del(`${at.tag}gap`, `${at.tag}due:tasks`)
})

/** So long that the time a test takes by itself is nothing beside it. */
const everyMs = 60_000
const signs = async () => {
  await at.ledger.takeDue([], 1)
  await at.ledger.noteServing()
}
const opened = (firstMs = everyMs) => openTask(at.ledger, aTask(), { heartbeat: { everyMs, firstMs } })

/** Everything known of the task's times happened so much earlier. */
async function pass({ id }: Task, ms: number): Promise<void> {
  const beaten = await at.raw.hget(`${at.tag}t:${id}`, 'beaten')
  await at.raw.hset(`${at.tag}t:${id}`, 'beaten', Number(beaten) - ms)
  await at.raw.zincrby(`${at.tag}due:tasks`, -ms, id)
}
/** The last sign was left so long ago. */
const silence = async (sign: 'swept' | 'served', ms: number) =>
  await at.raw.set(`${at.tag}${sign}`, (await at.ledger.now()) - ms)

/** What a sweep would end this task as at this moment; null when it would leave it alone. */
async function endedAsNow({ id }: Task) {
  return (await at.ledger.takeDueTasks(1000)).find(({ task }) => task === id)?.outcome ?? null
}

/** The same while both signs are fresh: a test that is held up for 3 s would be an outage of ours. */
async function endedAs(task: Task) {
  for (const sign of ['swept', 'served'] as const) await silence(sign, -600_000)
  return await endedAsNow(task)
}

describe('a task with a heartbeat', () => {
  test('and that is past its deadline ends, heard of or not', async () => {
    const task = await opened()
    expect(await at.ledger.endTask(task.id, 'abandoned', true)).toBe('heard')
    await at.raw.hset(`${at.tag}t:${task.id}`, 'expires', 1)
    expect(await at.ledger.endTask(task.id, 'abandoned', true)).toMatchObject({ ended: true })
  })

  test('that misses it is abandoned, and not before', async () => {
    const task = await opened()
    await pass(task, 50_000)
    expect(await endedAs(task)).toBeNull()
    await pass(task, 10_100)
    expect(await endedAs(task)).toBe('abandoned')
  })

  test('that beats goes on to its deadline', async () => {
    const task = await opened()
    for (let i = 0; i < 5; i++) {
      await pass(task, 50_000)
      const before = await at.ledger.now()
      const beat = await at.ledger.beat(task.id)
      const next = 'beforeMs' in beat ? (beat.beforeMs ?? 0) : 0
      expect(beat.outcome).toBe('ok')
      expect(next).toBeGreaterThanOrEqual(before + everyMs)
      expect(next).toBeLessThanOrEqual((await at.ledger.now()) + everyMs)
      expect(await endedAs(task)).toBeNull()
    }
    await at.raw.hset(`${at.tag}t:${task.id}`, 'expires', (await at.ledger.now()) - 1)
    await at.raw.zadd(`${at.tag}due:tasks`, 1, task.id)
    expect(await endedAs(task)).toBe('deadline')
  })

  test('has for its first one the time that its credentials take', async () => {
    const task = await opened(everyMs + 30_000)
    await pass(task, 80_000)
    expect(await endedAs(task)).toBeNull()
    await pass(task, 10_100)
    expect(await endedAs(task)).toBe('abandoned')
  })

  test('is never due later than its deadline', async () => {
    const task = await openTask(at.ledger, aTask(), { ttlSeconds: 5, heartbeat: { everyMs, firstMs: everyMs } })
    expect(Number(await at.raw.zscore(`${at.tag}due:tasks`, task.id))).toBe(task.expiresAt)
    await at.ledger.beat(task.id)
    expect(Number(await at.raw.zscore(`${at.tag}due:tasks`, task.id))).toBe(task.expiresAt)
  })
})

test('one without a heartbeat is asked for none, and may show that it lives all the same', async () => {
  const task = await openTask(at.ledger)
  expect(await at.ledger.beat(task.id)).toEqual({ outcome: 'ok', beforeMs: null })
  expect(Number(await at.raw.zscore(`${at.tag}due:tasks`, task.id))).toBe(task.expiresAt)
})

test('an ended task, one below an ended one and an unknown one do not beat', async () => {
  const parent = await opened()
  const child = await openTask(at.ledger, aChildOf(parent), { heartbeat: { everyMs, firstMs: everyMs } })
  await at.ledger.endTask(parent.id, 'succeeded')
  expect(await at.ledger.beat(parent.id)).toEqual({ outcome: 'closed' })
  expect(await at.ledger.beat(child.id)).toEqual({ outcome: 'closed' })
  expect(await at.ledger.beat('task_none')).toEqual({ outcome: 'not_found' })
})

describe('an outage of ours', () => {
  test.each([
    ['nobody swept, nor did anybody for the heartbeats', 'swept'],
    ['no broker took requests', 'served'],
  ] as const)('%s: misses are counted from its end', async (_, sign) => {
    const task = await opened()
    await pass(task, 2 * everyMs)
    await silence(sign, 60_000)
    const outageEnds = await at.ledger.now()
    await signs()
    expect(await endedAs(task)).toBeNull()
    expect(Number(await at.raw.zscore(`${at.tag}due:tasks`, task.id))).toBeGreaterThanOrEqual(outageEnds + everyMs)
    // The whole interval after it has passed as well.
    await at.raw.set(`${at.tag}gap`, (await at.ledger.now()) - everyMs - 1)
    await at.raw.zadd(`${at.tag}due:tasks`, 1, task.id)
    expect(await endedAs(task)).toBe('abandoned')
  })

  test('is noticed by the very look that would have ended the task', async () => {
    const task = await opened()
    await pass(task, 2 * everyMs)
    await silence('swept', 60_000)
    expect(await endedAsNow(task)).toBeNull()
  })

  test('while no broker takes requests nobody is abandoned, and deadlines hold', async () => {
    const [task, over] = [await opened(), await opened()]
    await pass(task, 2 * everyMs)
    await at.raw.hset(`${at.tag}t:${over.id}`, 'expires', 1)
    await at.raw.zadd(`${at.tag}due:tasks`, 1, over.id)
    await silence('served', 60_000)
    expect(await at.ledger.takeDueTasks(1000)).toEqual([{ task: over.id, outcome: 'deadline' }])
  })

  test('a sign that is a little late is none', async () => {
    const late = async () => {
      await at.raw.del(`${at.tag}gap`)
      const task = await opened()
      await pass(task, 2 * everyMs)
      await silence('swept', 500)
      await silence('served', 500)
      await signs()
      return await endedAsNow(task)
    }
    expect(await withinTime(2400, late)).toBe('abandoned')
  })
})
