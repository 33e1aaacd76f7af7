// Delegations in a ledger that was lost and written again from the audit.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { anAgent, aPair, handOver, openChild, read, write } from '../../support/chain.js'
import { inAnotherLedger } from '../../support/rebuilt-ledger.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ limits: '{ account: { requests_per_minute: 100000 }, task: { depth: 2 } }' })
})
afterAll(async () => {
  await story.close()
})

test('what the audit says is enough to write it all again', async () => {
  const { helper, child, delegation, boss, parent } = await aPair(story, [read])
  const { lease } = await story.buy(helper, child, read)
  const { delegation: unused } = await handOver(story, boss, parent, { agent: 'later' }, [write])
  const { agent } = await anAgent(story, boss, parent)
  const { task: agents } = await openChild(story, agent, undefined)
  await inAnotherLedger([await story.records()], async ({ ledger }) => {
    for (const task of [child, agents]) {
      const { activeLeases: _, ...same } = task
      expect(await ledger.findTask(task.id)).toMatchObject(same)
    }
    expect(await ledger.taskTree(parent.id)).toEqual(expect.arrayContaining([child.id, agents.id]))
    expect((await ledger.findLease(lease.id))?.record).toEqual(lease.record)
    expect(await ledger.findDelegation(delegation.id)).toMatchObject({ opened: child.id })
    expect(await ledger.findDelegation(unused.id)).toEqual(unused)
  })
})

test('a delegation comes back used, whichever instance replays first: who handed it on, or who opened with it', async () => {
  const { child, delegation } = await aPair(story, [read])
  const records = await story.records()
  const theirs = records.filter(({ task }) => task === child.id)
  const ours = records.filter(({ task }) => task !== child.id)
  for (const order of [
    [ours, theirs],
    [theirs, ours],
  ]) {
    await inAnotherLedger(order, async ({ ledger }) => {
      expect(await ledger.findDelegation(delegation.id)).toMatchObject({ opened: child.id })
    })
  }
})
