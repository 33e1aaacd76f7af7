// What the token of one task still reaches: all below it while it is open, its own leases alone once it has ended.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { resolveOwnLease, resolveOwnTask } from '../../../src/http/access.js'
import type { Task } from '../../../src/ledger/task.js'
import { aChildOf, activeLease, aTask, openTask } from '../../support/ledger.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(() => story?.close())

const bearerOf = (task: Task) => ({ kind: 'task', task: task.id, requestId: 'req_x' }) as const
const lease = (task: Task, id: string) => resolveOwnLease(story.parts, bearerOf(task), id)

test('a child’s leases while the task is open, and no longer; its own until the token ends', async () => {
  const { ledger } = story.at
  const keep = (one: Task) => activeLease(ledger, one)
  const parent = await openTask(ledger, aTask({ expiresAt: Date.now() + 600_000 }))
  const child = await openTask(ledger, aChildOf(parent))
  const [own, below] = [await keep(parent), await keep(child)]

  expect((await lease(parent, below)).id).toBe(below)
  expect((await lease(parent, own)).id).toBe(own)
  // Never upwards, and the task itself is read with its own token alone.
  expect(await codeOf(lease(child, own))).toBe('not_found')
  expect(await codeOf(resolveOwnTask(story.parts, bearerOf(parent), child.id))).toBe('not_found')
  expect(await codeOf(resolveOwnTask(story.parts, bearerOf(child), parent.id))).toBe('not_found')

  await story.endTask(parent)
  expect(await codeOf(lease(parent, below))).toBe('not_found')
  expect((await lease(parent, own)).id).toBe(own)
  expect((await resolveOwnTask(story.parts, bearerOf(parent), parent.id)).state).toBe('ended')
})
