import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { awaitReceipts } from '../../../src/broker/await-receipts.js'
import { endTask } from '../../../src/broker/end-task.js'
import { release } from '../../../src/broker/release.js'
import { aChildOf, openTask } from '../../support/ledger.js'
import { codeOf, type Story, startStory } from '../../support/story.js'
import { millisecondsOf, quickestOf } from '../../support/wall-time.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
})

describe('completing a task', () => {
  test('ends all its leases, names those that ended before, and answers the same again', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const early = await story.buy(caller, task)
    const rest = [await story.buy(caller, task), await story.buy(caller, task, { action: 'token.read' })]
    await story.parts.ledger.endLeases([early.lease.id], { reason: 'released', actor: 'a' })
    await story.finish(early.lease.id)
    const all = [early, ...rest].map(({ lease }) => lease.id).sort()
    expect((await story.endTask(task)).sort()).toEqual(all)
    expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
    for (const { lease } of rest) expect((await story.finish(lease.id)).endReason).toBe('completed')
    expect((await story.lease(early.lease.id)).endReason).toBe('released')
    expect((await story.endTask(task, 'failed')).sort()).toEqual(all)
    expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ outcome: 'succeeded' })
    const records = (await story.records('task.ended')).filter((one) => one.task === task.id)
    expect(records).toMatchObject([{ outcome: 'succeeded', actor: 'caller' }])
    for (const id of all) expect(story.far.alive()).not.toContain(id)
  })

  test('ends every task below it, and stops what is asked there from that moment on', async () => {
    const caller = story.caller()
    const parent = await story.task(caller)
    const child = await openTask(story.parts.ledger, aChildOf(parent))
    const grandchild = await openTask(story.parts.ledger, aChildOf(child))
    const { lease } = await story.buy(caller, grandchild)
    expect(lease.record.chain).toEqual([grandchild.id, child.id, parent.id])
    expect(await story.endTask(parent)).toEqual([lease.id])
    for (const task of [child, grandchild]) {
      expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ state: 'ended', outcome: 'succeeded' })
      expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
    }
    expect((await story.finish(lease.id)).state).toBe('revoked')
  })

  test('makes a token of ours worthless at once, before any worker has looked', async () => {
    const { lease, task } = await story.bought({ action: 'token.read' })
    expect(await story.parts.ledger.isLive(lease.id)).toBe(true)
    await story.endTask(task)
    expect(await story.parts.ledger.isLive(lease.id)).toBe(false)
  })

  test('of an unknown task is not_found', async () => {
    expect(await codeOf(endTask(story.parts, 'task_none', { outcome: 'succeeded', actor: 'a' }))).toBe('not_found')
  })

  test('says on record who ended which lease why', async () => {
    const { lease, task } = await story.bought()
    await endTask(story.parts, task.id, { outcome: 'cancelled', actor: 'caller', requestId: 'req_x' })
    const [ending] = (await story.records('lease.ending')).filter((one) => one.lease === lease.id)
    expect(ending).toMatchObject({ reason: 'completed', actor: 'caller', request_id: 'req_x', task: task.id })
  })
})

describe('waiting for receipts', () => {
  test('ends when all are answered, and after the time at the latest', async () => {
    const { lease, task } = await story.bought()
    await story.endTask(task)
    const started = performance.now()
    const waiting = awaitReceipts(story.parts, [lease.id], 60_000)
    await story.finish(lease.id)
    expect(await waiting).toMatchObject([{ state: 'revoked' }])
    expect(performance.now() - started).toBeLessThan(30_000)
    const second = await story.bought()
    await story.endTask(second.task)
    expect(await awaitReceipts(story.parts, [second.lease.id], 100)).toMatchObject([
      { state: 'revoking', receipt: null },
    ])
    expect(await awaitReceipts(story.parts, [], 5000)).toEqual([])
  })

  test.each([
    ['copy.read', 'released', 'not_revocable'],
    ['fixed.read', 'revoking', 'expires_at'],
    ['offline.read', 'revoking', 'expires_at'],
  ])('%s: nothing more can be said by waiting', async (action, state, outcome) => {
    const { lease, task } = await story.bought({ action })
    await story.endTask(task)
    await story.attempt(lease.id)
    const once = () =>
      millisecondsOf(async () => {
        const waited = await awaitReceipts(story.parts, [lease.id], 5000)
        expect(waited).toMatchObject([{ state, receipt: { outcome } }])
      })
    expect(await quickestOf(once, 400)).toBeLessThan(400)
  })
})

describe('releasing one lease', () => {
  test('ends it alone, with its reason, and leaves the task open', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const [one, two] = [await story.buy(caller, task), await story.buy(caller, task)]
    const released = release(story.parts, one.lease, 'caller', 'req_r', 60_000)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await story.finish(one.lease.id)
    expect(await released).toMatchObject({ state: 'revoked', endReason: 'released', receipt: { outcome: 'confirmed' } })
    expect(story.far.alive()).not.toContain(one.lease.id)
    expect(story.far.alive()).toContain(two.lease.id)
    expect((await story.parts.ledger.findTask(task.id))?.activeLeases).toBe(1)
    // Again: the same answer, nothing more at the provider.
    const seen = story.far.seen.length
    expect(await release(story.parts, await story.lease(one.lease.id), 'caller', 'req_r')).toMatchObject({
      state: 'revoked',
    })
    expect(story.far.seen.length).toBe(seen)
    await story.endTask(task)
    await story.finish(two.lease.id)
  })

  test('answers pending when nobody has come to it in time', async () => {
    const { lease } = await story.bought()
    expect(await release(story.parts, lease, 'caller', 'req_r', 100)).toMatchObject({
      state: 'revoking',
      receipt: null,
    })
  })
})
