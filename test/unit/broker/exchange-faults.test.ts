// The way out, step by step: after each step that fails, what the caller is told, and that nothing stays alive.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Caller } from '../../../src/broker/parts.js'
import { type Clock, systemClock } from '../../../src/core/clock.js'
import type { Task } from '../../../src/ledger/task.js'
import type { FarCall, FarMood } from '../../support/far-side.js'
import { codeOf, type Story, startStory, startStoryOnOwnRedis } from '../../support/story.js'

const skew = { monotonic: 0, now: 0 }
const clock: Clock = {
  now: () => systemClock.now() + skew.now,
  monotonic: () => systemClock.monotonic() + skew.monotonic,
}

let story: Story
let caller: Caller
let task: Task
beforeAll(async () => {
  story = await startStory({ clock, provider: { timeoutSeconds: 20 } })
})
afterAll(async () => {
  await story.close()
})
beforeEach(async () => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
  skew.monotonic = 0
  skew.now = 0
  caller = story.caller()
  task = await story.task(caller)
})

/** What every row ends in: the lease over with a receipt, nothing alive, nothing held. */
async function expectNothingLeft(state: string) {
  const lease = await story.finish((await story.onlyLeaseOf(task)).id)
  expect(lease.state).toBe(state)
  expect(lease.receipt?.outcome).toBe('confirmed')
  expect(story.far.alive()).not.toContain(lease.id)
  const { holders } = await story.parts.ledger.lookHolders(task.holders)
  expect(holders.map((one) => one.activeLeases)).toEqual([0, 0])
  expect((await story.recordsOf(lease.id)).at(-1)).toMatchObject({ event: 'lease.ended', state })
  return lease
}

describe('the audit cannot be written', () => {
  test('before the mint: the provider is not called', async () => {
    story.broker.auditSwitch.isDown = (record) => record.event === 'lease.reserved'
    expect(await codeOf(story.buy(caller, task))).toBe('audit_unavailable')
    expect(story.far.seen).toEqual([])
    expect((await story.onlyLeaseOf(task)).state).toBe('revoking')
    await expectNothingLeft('void')
    const { holders } = await story.parts.ledger.lookHolders(task.holders)
    expect(holders.map((one) => one.granted)).toEqual([[], []])
  })

  test('after the mint: nobody is given the credential, and it is revoked', async () => {
    story.broker.auditSwitch.isDown = (record) => record.event === 'lease.issued'
    expect(await codeOf(story.buy(caller, task))).toBe('audit_unavailable')
    expect(story.far.alive()).toHaveLength(1)
    const lease = await expectNothingLeft('revoked')
    expect(lease.endReason).toBe('mint_failed')
  })
})

describe('the provider says no', () => {
  test.each<[FarCall, FarMood, string]>([
    ['create', 'fails', 'void'],
    ['create', 'refuses', 'void'],
    ['create', 'garbage', 'void'],
    ['secret', 'fails', 'revoked'],
    ['secret', 'refuses', 'revoked'],
    ['secret', 'garbage', 'revoked'],
  ])('%s %s: 502, and at the end the lease is %s', async (call, mood, state) => {
    story.far.mood[call] = mood
    expect(await codeOf(story.buy(caller, task))).toBe('provider_failed')
    // It answered, so that there is nothing to wait for.
    expect(story.far.count('create')).toBe(1)
    await expectNothingLeft(state)
  })
})

describe('the provider does not answer', () => {
  test.each<[FarCall, FarMood, string]>([
    ['create', 'hangs', 'void'],
    ['create', 'lost', 'revoked'],
    ['create', 'late', 'revoked'],
    ['create', 'slow', 'revoked'],
    ['create', 'cut', 'revoked'],
    ['secret', 'hangs', 'revoked'],
    ['secret', 'lost', 'revoked'],
    ['secret', 'slow', 'revoked'],
    ['secret', 'cut', 'revoked'],
  ])('%s %s: 503 in time, nothing is touched while it may still come, then it is %s', async (call, mood, state) => {
    story.far.slowMs = 600
    story.far.mood[call] = mood
    // The reservation has the provider's 20 s, in which nobody touches it; the call is given up sooner.
    story.broker.auditSwitch.isDown = (record) => {
      if (record.event === 'lease.reserved') story.broker.far.timeoutSeconds = 0.3
      return false
    }
    const started = performance.now()
    expect(await codeOf(story.buy(caller, task))).toBe('provider_unavailable')
    // Whoever waited for the provider's own word would wait for 20 s.
    expect(performance.now() - started).toBeLessThan(15_000)
    story.broker.auditSwitch.isDown = () => false
    story.broker.far.timeoutSeconds = 20
    const { id } = await story.onlyLeaseOf(task)
    expect((await story.lease(id)).state).toBe('revoking')
    // A secret read while its token dies would outlive it.
    expect(await story.parts.ledger.claim(id, 'too soon')).toEqual({ outcome: 'early' })
    // What was given up arrives all the same; what comes of it is there before it is looked for.
    const isOver = () => story.far.count('create') > 0 && (state === 'void' || story.far.alive().includes(id))
    while (!isOver()) await new Promise((resolve) => setTimeout(resolve, 20))
    story.far.calm()
    await story.pass(id, 25_500)
    expect(story.parts.breakers.troubles().far).toContain('does not answer')
    await expectNothingLeft(state)
    await story.bought()
    expect(story.parts.breakers.troubles()).toEqual({})
  })

  test('where an empty search is not the last word it is searched again at 10, 30 and 90 s, to the natural end', async () => {
    const unsure = await startStory({ clock, provider: { timeoutSeconds: 0.3, authoritative: false } })
    try {
      const who = unsure.caller()
      const opened = await unsure.task(who)
      unsure.far.mood.create = 'hangs'
      expect(await codeOf(unsure.buy(who, opened, { ttl_seconds: 600 }))).toBe('provider_unavailable')
      unsure.broker.far.timeoutSeconds = 20
      const { id } = await unsure.onlyLeaseOf(opened)
      let waitMs = 5500
      for (const nextMs of [10_000, 30_000, 90_000, 90_000]) {
        await unsure.pass(id, waitMs)
        const now = await unsure.parts.ledger.now()
        await unsure.attempt(id)
        const due = Number(await unsure.at.raw.zscore(`${unsure.at.tag}due:far`, id))
        expect(due).toBeGreaterThan(now + nextMs - 1000)
        expect(due).toBeLessThan((await unsure.parts.ledger.now()) + nextMs + 1000)
        expect((await unsure.lease(id)).state).toBe('revoking')
        waitMs = nextMs
      }
      await unsure.pass(id, 700_000)
      const lease = await unsure.finish(id)
      expect(lease).toMatchObject({ state: 'expired', receipt: { outcome: 'expires_at', evidence: 'natural_end' } })
    } finally {
      await unsure.close()
    }
  })
})

describe('the task ends while the credential is being minted', () => {
  test('before its handle is noted: the mint is given up and revoked', async () => {
    story.far.during.create = async () => void (await story.endTask(task))
    expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
    expect(story.far.seen).toEqual(['create'])
    const lease = await expectNothingLeft('revoked')
    expect(lease).toMatchObject({ endReason: 'completed' })
  })

  test('before it is active: the caller is told so and it is revoked', async () => {
    story.far.during.secret = async () => void (await story.endTask(task))
    expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
    const lease = await expectNothingLeft('revoked')
    expect(lease).toMatchObject({ endReason: 'completed', endActor: 'caller' })
  })

  test('nobody touches it at the provider before the mint is over', async () => {
    story.far.during.secret = async () => {
      const [lease = ''] = await story.endTask(task)
      await story.sweep()
      expect(await story.parts.ledger.claim(lease, 'too soon')).toEqual({ outcome: 'early' })
    }
    expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
    expect(story.far.count('revoke')).toBe(0)
    await expectNothingLeft('revoked')
  })

  test('an operator locks it meanwhile', async () => {
    const target = `account=${task.account}`
    story.far.during.secret = async () => void (await story.at.raw.hset(`${story.at.tag}locked`, target, 1))
    const code = await codeOf(story.buy(caller, task))
    await story.at.raw.del(`${story.at.tag}locked`)
    expect(code).toBe('locked')
    await expectNothingLeft('revoked')
  })
})

describe('time', () => {
  test('a broker that slept after the reservation mints nothing', async () => {
    story.broker.auditSwitch.isDown = (record) => {
      if (record.event === 'lease.reserved') skew.monotonic += 4100
      return false
    }
    expect(await codeOf(story.buy(caller, task))).toBe('provider_unavailable')
    expect(story.far.seen).toEqual([])
    await expectNothingLeft('void')
  })

  // A broker whose clock is behind is the less so the later it reads Redis's time: hence far behind.
  test.each([6000, -60_000])('a broker whose clock is %i ms off issues nothing', async (ms) => {
    skew.now = ms
    expect(await codeOf(story.buy(caller, task))).toBe('clock')
    expect(await story.parts.ledger.leasesOfTask(task.id)).toEqual([])
  })
})

test('the ledger dies before the credential is active: 503, and it is found and revoked when it is back', async () => {
  const { redis, story: doomed } = await startStoryOnOwnRedis({ provider: { timeoutSeconds: 20 } })
  try {
    const who = doomed.caller()
    const opened = await doomed.task(who)
    doomed.far.during.secret = () => redis.kill()
    expect(await codeOf(doomed.buy(who, opened))).toBe('ledger_unavailable')
    expect(doomed.far.alive()).toHaveLength(1)
    await redis.restart()
    for (const time of [() => doomed.parts.ledger.now(), () => doomed.at.raw.time()]) {
      for (let i = 0; i < 600 && !(await time().catch(() => null)); i++) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    const { id, state } = await doomed.onlyLeaseOf(opened)
    expect(state).toBe('reserved')
    await doomed.pass(id, 25_500)
    expect(await doomed.finish(id)).toMatchObject({ state: 'revoked', endReason: 'not_activated' })
    expect(doomed.far.alive()).toEqual([])
  } finally {
    await doomed.close()
  }
})
