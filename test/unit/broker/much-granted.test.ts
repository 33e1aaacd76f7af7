// One account that is granted thousands of different things: each is remembered (I8) and each decision keeps all of it (I10).
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { systemClock } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import type { LeaseRecord } from '../../../src/ledger/lease.js'
import { createRestoration } from '../../../src/ledger/restoration.js'
import { refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})

const resource = (i: number, letters: number) => `repo:acme/${'x'.repeat(letters)}${i}`

/** As if it had been bought and released before. */
async function granted(like: LeaseRecord, count: number, letters: number): Promise<void> {
  // Of thousands of commands one may take longer, on a busy machine, than the 2 s that the broker's have.
  const redis = story.broker.connectPatient()
  const { restoreGranted } = createRestoration(redis, story.redis.prefix)
  const now = systemClock.now()
  const one = (i: number) => ({
    id: createId('lease', now),
    record: { ...like, resource: resource(i, letters) },
    reservedAt: now,
    expiresAt: now,
    idempotency: null,
    judgedBy: null,
    issued: null,
    end: null,
  })
  for (let n = 0; n < count; n += 500)
    await Promise.all(
      Array.from({ length: Math.min(500, count - n) }, (_, i) => restoreGranted(one(n + i), 86_400_000)),
    )
  await story.parts.ledger.takeDue([], 1)
}

test('there is an end to how many different things it is granted, and none to the same again', async () => {
  const { caller, task, lease } = await story.bought()
  await granted(lease.record, 5000, 1)
  const minted = story.far.alive().length
  const refusal = await refusalOf(story.buy(caller, task, { resource: 'repo:acme/new' }))
  expect(refusal).toMatchObject({ code: 'quota' })
  expect(refusal.detail).toContain('limits.account.memory')
  expect(refusal.retryAfterSeconds).toBeGreaterThan(0)
  expect(story.far.alive()).toHaveLength(minted)
  expect((await story.buy(caller, task)).lease.state).toBe('active')
  // For another time, too: what its deadline cuts short is nothing new.
  expect((await story.buy(caller, task, { ttl_seconds: 37 })).lease.state).toBe('active')
})

test('what is more than a record takes is let out to nobody, and a denial is on record all the same', async () => {
  const { caller, task, lease } = await story.bought()
  await granted(lease.record, 4990, 110)
  const minted = story.far.alive().length
  const refusal = await refusalOf(story.buy(caller, task))
  expect(refusal).toMatchObject({ code: 'quota' })
  expect(refusal.detail).toContain('more than one audit record takes')
  expect(story.far.alive()).toHaveLength(minted)
  const leases = await story.parts.ledger.findLeases(await story.parts.ledger.leasesOfTask(task.id))
  expect(leases.filter(({ state }) => state === 'active').map(({ id }) => id)).toEqual([lease.id])
  const denial = await refusalOf(story.buy(caller, task, { action: 'account.delete' }))
  expect(denial).toMatchObject({ code: 'denied', members: { reason: 'forbidden' } })
  const [record, ...others] = (await story.records('decision.denied')).filter((one) => one.task === task.id)
  expect(others).toEqual([])
  expect(record).toMatchObject({
    code: 'denied',
    decision: { effect: 'deny', action: 'account.delete', shortened: true },
  })
})
