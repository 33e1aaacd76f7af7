// A task that waits for people is not abandoned for want of heartbeats; whoever goes on with it sends them again.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { heartbeat } from '../../../src/broker/heartbeat.js'
import { openTask } from '../../../src/broker/open-task.js'
import { shipping, shipRules } from '../../support/approval-story.js'
import { asking, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

async function open(credential: ReturnType<typeof asking>) {
  // The sign that somebody sweeps, without which nothing is issued.
  await story.parts.ledger.takeDue([], 1)
  const request = { purpose: 'x', heartbeat_seconds: 5, credentials: [credential] }
  return await openTask(story.parts, story.caller(), request, null)
}

/** When the sweeper looks at it next, in seconds from now. */
async function dueIn(task: string): Promise<number> {
  const due = Number(await story.at.raw.zscore(`${story.at.tag}due:tasks`, task))
  const [seconds] = await story.at.raw.time()
  return due / 1000 - Number(seconds)
}

test('the first heartbeat is wanted only when people have had their time, the next ones as ever', async () => {
  const { task, approvals } = await open(shipping())
  expect(approvals).toHaveLength(1)
  expect(await dueIn(task.id)).toBeGreaterThan(895)
  await heartbeat(story.parts, task)
  expect(await dueIn(task.id)).toBeLessThan(10)
})

test('a task that waits for nobody is watched from the start', async () => {
  const { task } = await open(asking())
  expect(await dueIn(task.id)).toBeLessThan(10)
})
