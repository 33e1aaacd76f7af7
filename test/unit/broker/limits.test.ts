import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { openTask } from '../../../src/broker/open-task.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  const limits =
    '{ lease: { ttl: 50s }, task: { ttl: 5m, active_leases: 2 }, account: { active_leases: 3, open_tasks: 3, requests_per_minute: 12 }, provider: { active_leases: 4 } }'
  story = await startStory({ limits, provider: { minTtlSeconds: 5 } })
})
afterAll(async () => {
  await story.close()
})

describe('how long', () => {
  test.each([
    ['the default of the grant', undefined, 'repo.read', 50],
    ['what was asked', 20, 'repo.read', 20],
    ['no longer than the limit of all leases', 600, 'repo.read', 50],
  ])('%s', async (_, ttl_seconds, action, seconds) => {
    const before = await story.parts.ledger.now()
    const { lease, task } = await story.bought({ action, ...(ttl_seconds === undefined ? {} : { ttl_seconds }) })
    expect(lease.record.ttl).toBe(seconds)
    // From the reservation on, which is some time before the issue: a provider may be slow.
    const reservedAt = lease.expiresAt - seconds * 1000
    expect(reservedAt).toBeGreaterThanOrEqual(before)
    expect(reservedAt).toBeLessThanOrEqual(lease.issuedAt ?? 0)
    await story.endTask(task)
    await story.finish(lease.id)
  })

  test('asked below what the provider can give: 400 naming the field', async () => {
    const caller = story.caller()
    const error = await refusalOf(story.buy(caller, await story.task(caller), { ttl_seconds: 4 }))
    expect(error).toMatchObject({ code: 'invalid_request', errors: [{ field: 'ttl_seconds' }] })
  })

  test('left below it by the task: 403, reason lifetime', async () => {
    const caller = story.caller()
    const error = await refusalOf(story.buy(caller, await story.task(caller, 4), { ttl_seconds: 20 }))
    expect(error).toMatchObject({ code: 'denied', members: { reason: 'lifetime' } })
  })

  test('a task no longer than the limit of tasks', async () => {
    const task = await story.task(story.caller(), 86_400)
    expect(task.expiresAt - task.openedAt).toBe(300_000)
  })
})

describe('how many', () => {
  test('per task, account and provider, each given back when a lease has ended', async () => {
    const caller = story.caller()
    const [one, two] = [await story.task(caller), await story.task(caller)]
    const first = await story.buy(caller, one)
    await story.buy(caller, one)
    const quota = async (work: Promise<unknown>) => {
      const error = await refusalOf(work)
      expect(error.code).toBe('quota')
      expect(error.retryAfterSeconds).toBeGreaterThan(0)
      return error.detail
    }
    expect(await quota(story.buy(caller, one))).toMatch('limits.task.active_leases')
    await story.buy(caller, two)
    expect(await quota(story.buy(caller, two))).toMatch('limits.account.active_leases')
    const other = story.caller()
    const theirs = await story.task(other)
    const fourth = await story.buy(other, theirs)
    expect(await quota(story.buy(other, theirs))).toMatch('limits.provider.active_leases')
    await story.parts.ledger.endLeases([first.lease.id, fourth.lease.id], { reason: 'released', actor: 'a' })
    // What is on its way to its end still counts: it is not proven dead.
    expect(await quota(story.buy(caller, two))).toMatch('limits.account.active_leases')
    await story.finish(first.lease.id)
    await story.buy(caller, one)
    for (const task of [one, two, theirs]) for (const id of await story.endTask(task)) await story.finish(id)
  })

  test('open tasks of an account', async () => {
    const caller = story.caller()
    const tasks = [await story.task(caller), await story.task(caller), await story.task(caller)]
    expect(await codeOf(story.task(caller))).toBe('quota')
    if (tasks[0]) await story.endTask(tasks[0])
    await story.task(caller)
  })

  test('requests of an account in a minute, whatever they end in', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const codes = []
    for (let i = 0; i < 30; i++) codes.push(await codeOf(story.buy(caller, task, { action: 'account.delete' })))
    expect(codes.slice(0, 11)).toEqual(Array.from({ length: 11 }, () => 'denied'))
    expect(codes.filter((code) => code === 'rate').length).toBeGreaterThanOrEqual(6)
    const error = await refusalOf(story.buy(caller, task, { action: 'account.delete' }))
    if (error.code === 'rate') expect(error.retryAfterSeconds).toBeLessThanOrEqual(60)
    expect(await codeOf(story.buy(story.caller(), task))).toBe('not_found')
  })
})

test('whoever asks for a task with credentials and is denied is counted too', async () => {
  const caller = story.caller()
  const request = { purpose: 'again and again', credentials: [asking({ action: 'account.delete' })] }
  const codes = []
  for (let i = 0; i < 26; i++) codes.push(await codeOf(openTask(story.parts, caller, request, null)))
  expect(codes.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => 'denied'))
  expect(codes).toContain('rate')
})

test('room at the provider is reserved with the lease until its own end', async () => {
  const narrow = await startStory({ provider: { capacity: 1 } })
  try {
    const { lease, task } = await narrow.bought()
    await narrow.endTask(task)
    await narrow.finish(lease.id)
    const error = await refusalOf(narrow.bought())
    expect(error).toMatchObject({ code: 'quota', detail: 'room is reached' })
    expect(error.retryAfterSeconds).toBeGreaterThan(60)
  } finally {
    await narrow.close()
  }
})
