// The gauges against what really is: the ledger's counters are kept up by every script, and must never drift.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createObserver } from '../../../src/broker/observe.js'
import { eventually } from '../../support/redis-forms.js'
import { type Story, startStory, startStoryOnOwnRedis } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ provider: { timeoutSeconds: 20 } })
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => story.far.calm())

const statesOf = async (provider: string, from = story) =>
  (await from.parts.ledger.counts([provider])).providers[0]?.states

const overdueOf = async (provider: string) =>
  (await story.parts.ledger.counts([provider])).providers[0]?.oldestOverdueMs ?? -1

/** The counters hold exactly what the due index holds. */
async function expectNoDrift() {
  for (const provider of story.parts.providers.keys()) {
    const states = (await statesOf(provider)) ?? {}
    const sum = Object.values(states).reduce((all, one) => all + one, 0)
    expect([provider, sum]).toEqual([provider, await story.at.raw.zcard(`${story.at.tag}due:${provider}`)])
  }
}

describe('the ledger counts', () => {
  test('a lease from reservation to its end, in one state at a time', async () => {
    const seen: unknown[] = []
    story.far.during.secret = async () => void seen.push(await statesOf('far'))
    const { lease, task } = await story.bought()
    seen.push(await statesOf('far'))
    await story.endTask(task)
    seen.push(await statesOf('far'))
    story.far.during.revoke = async () => void seen.push(await statesOf('far'))
    await story.attempt(lease.id)
    seen.push(await statesOf('far'))
    expect(seen).toEqual([{ reserved: 1 }, { active: 1 }, { revoking: 1 }, { revoking: 1 }, {}])
    await expectNoDrift()
  })

  test('one that failed as failed until it is over', async () => {
    const { lease, task } = await story.bought()
    story.far.mood.revoke = 'refuses'
    await story.endTask(task)
    await story.attempt(lease.id)
    expect(await statesOf('far')).toEqual({ failed: 1 })
    await expectNoDrift()
    story.far.calm()
    await story.pass(lease.id, 60_000)
    await story.finish(lease.id)
    expect(await statesOf('far')).toEqual({})
    expect(await overdueOf('far')).toBe(0)
  })

  test('one that failed and is tried again as revoking, one that is abandoned until its natural end', async () => {
    const failedLease = async () => {
      const { lease, task } = await story.bought()
      story.far.mood.revoke = 'refuses'
      await story.endTask(task)
      await story.attempt(lease.id)
      story.far.calm()
      return lease.id
    }
    const [again, given] = [await failedLease(), await failedLease()]
    expect(await statesOf('far')).toEqual({ failed: 2 })
    await story.parts.ledger.retryLease(again)
    expect(await statesOf('far')).toEqual({ failed: 1, revoking: 1 })
    await story.finish(again)
    await story.parts.ledger.abandonLease(given, 'op:olga')
    expect(await statesOf('far')).toEqual({ abandoned: 1 })
    expect(await overdueOf('far')).toBe(0)
    await expectNoDrift()
    await story.pass(given, 600_000)
    await story.attempt(given)
    expect(await statesOf('far')).toEqual({})
    await expectNoDrift()
  })

  test('nothing that Redis has forgotten', async () => {
    const { lease } = await story.bought()
    await story.at.raw.del(`${story.at.tag}l:${lease.id}`)
    await story.at.raw.zadd(`${story.at.tag}due:far`, 1, lease.id)
    await story.parts.ledger.takeDue(['far'], 10)
    expect(await statesOf('far')).toEqual({})
    await expectNoDrift()
  })

  test('the copy of a standing secret as released until its natural end', async () => {
    const { lease, task } = await story.bought({ action: 'copy.read' })
    await story.endTask(task)
    await story.finish(lease.id)
    expect(await statesOf('copies')).toEqual({ released: 1 })
    await expectNoDrift()
    await story.pass(lease.id, 600_000)
    await story.attempt(lease.id)
    expect(await statesOf('copies')).toEqual({})
    await expectNoDrift()
  })

  test('a refused mint, a deadline and a retry without drift', async () => {
    story.far.mood.create = 'refuses'
    const caller = story.caller()
    const task = await story.task(caller)
    await story.buy(caller, task).catch(() => undefined)
    story.far.calm()
    await story.finish((await story.onlyLeaseOf(task)).id)
    const { lease } = await story.bought({ ttl_seconds: 20 })
    story.far.mood.revoke = 'fails'
    await story.pass(lease.id, 20_000)
    await story.attempt(lease.id)
    expect(await statesOf('far')).toMatchObject({ revoking: 1 })
    await expectNoDrift()
    story.far.calm()
    await story.finish(lease.id)
    await expectNoDrift()
  })
})

describe('the oldest overdue', () => {
  test('is how long ago a lease should have been dead, through sweeps and claims', async () => {
    expect(await overdueOf('far')).toBe(0)
    const { lease } = await story.bought({ ttl_seconds: 20 })
    await story.pass(lease.id, 30_000)
    expect(await overdueOf('far')).toBeGreaterThan(9000)
    story.far.mood.revoke = 'fails'
    await story.attempt(lease.id)
    await story.attempt(lease.id)
    expect(await overdueOf('far')).toBeGreaterThan(9000)
    story.far.calm()
    await story.finish(lease.id)
    expect(await overdueOf('far')).toBe(0)
  })

  test('passes over what cannot be ended before its natural end', async () => {
    const { lease, task } = await story.bought({ action: 'fixed.read' })
    await story.endTask(task)
    await story.attempt(lease.id)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await overdueOf('fixed')).toBe(0)
    await story.pass(lease.id, 60_000)
    const overdueMs = await overdueOf('fixed')
    // Since its natural end, however long this test stood still since; the order was given a minute before that.
    const { expiresAt } = await story.lease(lease.id)
    expect(overdueMs).toBeLessThanOrEqual((await story.parts.ledger.now()) - expiresAt)
    await story.finish(lease.id)
  })
})

describe('a scrape', () => {
  test('tells leases, queue and sweep, at most once in a few seconds', async () => {
    let elapsedMs = 0
    // No time passes but what this test says.
    const clock = { ...story.parts.clock, monotonic: () => elapsedMs }
    const observe = createObserver({ ...story.parts, clock })
    const { task } = await story.bought()
    await observe()
    const text = await story.parts.metrics.registry.metrics()
    expect(text).toContain('hallpass_leases{provider="far",state="active"} 1')
    expect(text).toContain('hallpass_leases{provider="far",state="failed"} 0')
    expect(text).toContain('hallpass_queue_depth{provider="far",state="waiting"}')
    expect(text).toMatch(/hallpass_swept_seconds_ago \d/)
    expect(text).toContain('hallpass_ledger_up 1')
    await story.endTask(task)
    elapsedMs += 2999
    await observe()
    expect(await story.parts.metrics.registry.metrics()).toContain('hallpass_leases{provider="far",state="active"} 1')
    elapsedMs += 1
    await observe()
    expect(await story.parts.metrics.registry.metrics()).toContain('hallpass_leases{provider="far",state="active"} 0')
  })

  test('costs under 10 ms of Redis with 100,000 leases, by its own slow log', async () => {
    const { redis, story: own } = await startStoryOnOwnRedis()
    try {
      const { raw, tag } = own.at
      for (let page = 0; page < 100; page++) {
        const entries = Array.from({ length: 1000 }, (_, i) => [Date.now() + 600_000 + i, `lease_${page}_${i}`]).flat()
        await raw.zadd(`${tag}due:far`, ...entries)
        await raw.zadd(`${tag}ending:far`, ...entries)
      }
      await raw.hset(`${tag}n:far`, { active: 100_000 })
      await own.parts.ledger.counts(['far'])
      await raw.config('SET', 'slowlog-log-slower-than', '10000')
      await raw.slowlog('RESET')
      const asked = 50
      for (let i = 0; i < asked; i++) await own.parts.ledger.counts([...own.parts.providers.keys()])
      // A busy machine may stop Redis itself for as long, at any of them; a scan would be slow every time.
      expect(await raw.slowlog('LEN')).toBeLessThan(asked)
      expect(await statesOf('far', own)).toEqual({ active: 100_000 })
      const observe = createObserver(own.parts)
      await redis.kill()
      await observe()
      const text = await own.parts.metrics.registry.metrics()
      expect(text).toContain('hallpass_ledger_up 0')
      expect(text).not.toContain('hallpass_leases{')
      expect(text).not.toMatch(/^hallpass_swept_seconds_ago /m)
      await redis.restart()
      await eventually(async () => (await own.parts.ledger.now()) > 0)
      await eventually(async () => (await raw.ping()) === 'PONG')
    } finally {
      await own.close()
    }
  })
})
