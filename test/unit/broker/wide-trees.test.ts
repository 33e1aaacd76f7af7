// A caller may hand its task on as often as it likes: what it opens below itself must not keep the task from ending, nor make
// its story larger than a broker can tell.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { awaitReceipts } from '../../../src/broker/await-receipts.js'
import { readTimeline } from '../../../src/broker/read-timeline.js'
import type { Ledger } from '../../../src/ledger/ledger.js'
import { openRedisLedger } from '../../../src/ledger/redis-ledger.js'
import type { Task } from '../../../src/ledger/task.js'
import { aChildOf, openTask } from '../../support/ledger.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
/** Of thousands of commands one may take longer, on a busy machine, than the 2 s that the broker's have. */
let patient: Ledger
beforeAll(async () => {
  story = await startStory()
  const { prefix } = story.redis
  const connect = story.broker.connectPatient
  patient = await openRedisLedger({ redis: connect(), subscriber: connect(), prefix })
})
afterAll(async () => {
  await story.close()
})

async function childrenOf(parent: Task, count: number): Promise<Task[]> {
  const children: Task[] = []
  while (children.length < count) {
    const page = Array.from({ length: Math.min(250, count - children.length) }, () =>
      openTask(patient, aChildOf(parent), { openTasksLimit: 1_000_000 }),
    )
    children.push(...(await Promise.all(page)))
  }
  return children
}

describe('a task with thousands below it', () => {
  // Lua hands back at most some 8,000 values one by one: the task was closed, its children and their leases were not.
  test('ends with all of them', async () => {
    const caller = story.caller()
    const parent = await story.task(caller)
    const children = await childrenOf(parent, 8_200)
    const last = children.at(-1) ?? parent
    const { lease } = await story.buy(caller, last, { action: 'token.read' })
    expect(await story.endTask(parent)).toEqual([lease.id])
    expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', endReason: 'completed' })
    expect(await story.parts.ledger.findTask(last.id)).toMatchObject({ state: 'ended', outcome: 'succeeded' })
    expect(await codeOf(story.buy(caller, last))).toBe('task_closed')
    expect(await story.at.raw.zscore(`${story.at.tag}due:tasks`, parent.id)).toBeNull()
  }, 300_000)

  test('tells a story of bounded size, and says that it is not all', async () => {
    const caller = story.caller()
    const parent = await story.task(caller)
    for (const child of await childrenOf(parent, 60)) {
      const text = (seq: number) =>
        JSON.stringify({
          event: 'tool.called',
          time: '2031-05-06T07:08:09.000Z',
          instance: 'i',
          seq,
          task: child.id,
          detail: 'x'.repeat(1800),
        })
      const told = Array.from({ length: 200 }, (_, seq) => ({
        task: child.id,
        kind: 'claimed' as const,
        text: text(seq),
      }))
      await story.parts.ledger.noteRecords(told, [])
    }
    const { records, complete } = await readTimeline(story.parts, parent, () => true)
    expect(complete).toBe(false)
    expect(records.length).toBeGreaterThan(1000)
    expect(Buffer.byteLength(JSON.stringify(records))).toBeLessThan(12 << 20)
  })
})

test('whoever waits for receipts reads what has ended once, however long the wait', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const over = await story.buy(caller, task, { action: 'token.read' })
  await story.parts.ledger.endLeases([over.lease.id], { reason: 'released', actor: 'a' })
  await story.finish(over.lease.id)
  const alive = await story.buy(caller, task)
  const asked: (readonly string[])[] = []
  const findLeases = (ids: readonly string[]) => {
    asked.push(ids)
    return story.parts.ledger.findLeases(ids)
  }
  const parts = { ...story.parts, ledger: { ...story.parts.ledger, findLeases } }
  const ids = [over.lease.id, alive.lease.id]
  expect((await awaitReceipts(parts, ids, 1200)).map(({ id }) => id)).toEqual(ids)
  expect(asked.length).toBeGreaterThan(1)
  for (const again of asked.slice(1)) expect(again).toEqual([alive.lease.id])
})
