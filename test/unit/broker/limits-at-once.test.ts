// Limits under 32 requests at once: exactly as many pass as may, and those refused never reach the provider.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller } from '../../../src/broker/parts.js'
import type { Task } from '../../../src/ledger/task.js'
import { refusalOf, type Story, startStory } from '../../support/story.js'

const atOnce = 32

/** Runs all at once: how many passed, and what the others were told. */
async function rush(work: (i: number) => Promise<unknown>) {
  const outcomes = await Promise.all(
    Array.from({ length: atOnce }, async (_, i) => {
      const call = work(i)
      const passed = await call.then(
        () => true,
        () => false,
      )
      return passed ? null : await refusalOf(call)
    }),
  )
  return { passed: outcomes.filter((one) => one === null).length, refused: outcomes.filter((one) => one !== null) }
}

async function expectRefusals(
  refused: Awaited<ReturnType<typeof rush>>['refused'],
  code: 'quota' | 'rate',
  limit: string,
): Promise<void> {
  for (const error of refused) {
    expect(error).toMatchObject({ code })
    expect(error.detail).toContain(limit)
    expect(error.retryAfterSeconds).toBeGreaterThan(0)
  }
}

async function on<T>(limits: string, story: (story: Story) => Promise<T>): Promise<T> {
  const started = await startStory({ limits })
  try {
    return await story(started)
  } finally {
    await started.close()
  }
}

const mints = (story: Story) => story.far.count('create')

describe('32 at once', () => {
  test('live leases of a task', () =>
    on('{ task: { active_leases: 7 }, account: { requests_per_minute: 1000 } }', async (story) => {
      const caller = story.caller()
      const task = await story.task(caller)
      const { passed, refused } = await rush(() => story.buy(caller, task))
      expect(passed).toBe(7)
      await expectRefusals(refused, 'quota', 'limits.task.active_leases')
      expect(mints(story)).toBe(7)
    }))

  test('live leases of an account, over many tasks of it', () =>
    on('{ account: { active_leases: 9, requests_per_minute: 1000 } }', async (story) => {
      const caller = story.caller()
      const tasks: Task[] = []
      for (let i = 0; i < 4; i++) tasks.push(await story.task(caller))
      const { passed, refused } = await rush((i) => story.buy(caller, tasks[i % 4] as Task))
      expect(passed).toBe(9)
      await expectRefusals(refused, 'quota', 'limits.account.active_leases')
      expect(mints(story)).toBe(9)
    }))

  test('live leases of a provider, over many accounts; another provider has room', () =>
    on('{ provider: { active_leases: 11 } }', async (story) => {
      const callers: { caller: Caller; task: Task }[] = []
      for (let i = 0; i < atOnce; i++) {
        const caller = story.caller()
        callers.push({ caller, task: await story.task(caller) })
      }
      const { passed, refused } = await rush(async (i) => {
        const { caller, task } = callers[i] ?? (await story.bought())
        return await story.buy(caller, task)
      })
      expect(passed).toBe(11)
      await expectRefusals(refused, 'quota', 'limits.provider.active_leases')
      expect(mints(story)).toBe(11)
      expect((await story.bought({ action: 'token.read' })).lease.state).toBe('active')
    }))

  test('open tasks of an account', () =>
    on('{ account: { open_tasks: 5, requests_per_minute: 1000 } }', async (story) => {
      const caller = story.caller()
      const { passed, refused } = await rush(() => openTask(story.parts, caller, { purpose: 'a story' }, null))
      expect(passed).toBe(5)
      await expectRefusals(refused, 'quota', 'limits.account.open_tasks')
    }))
})

describe('requests per minute of an account', () => {
  let story: Story
  beforeAll(async () => {
    story = await startStory({ limits: '{ account: { requests_per_minute: 10 } }' })
  })
  afterAll(async () => {
    await story.close()
  })

  test('all kinds together; the next account has its own', async () => {
    // The minute is the ledger's clock's: begun with enough of it left.
    const now = await story.parts.ledger.now()
    if (now % 60_000 > 40_000) await new Promise((resolve) => setTimeout(resolve, 60_100 - (now % 60_000)))
    const caller = story.caller()
    const task = await story.task(caller)
    const { passed, refused } = await rush(() => story.buy(caller, task))
    expect(passed).toBe(9)
    await expectRefusals(refused, 'rate', 'limits.account.requests_per_minute')
    expect(mints(story)).toBe(9)
    expect((await story.bought()).lease.state).toBe('active')
  }, 90_000)
})
