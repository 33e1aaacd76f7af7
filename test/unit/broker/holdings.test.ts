// Power does not accumulate unseen (I8): what the account and the session hold and were granted counts, across tasks and brokers.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { exchange } from '../../../src/broker/exchange.js'
import { type Clock, systemClock } from '../../../src/core/clock.js'
import { startTestBroker, type TestBroker } from '../../support/broker.js'
import { asking, codeOf, refusalOf, type Story, startStory, untilAnswered } from '../../support/story.js'

let story: Story
let second: TestBroker
beforeAll(async () => {
  // No time passes between a reservation and its mint: a busy machine takes longer over many at once than a broker lets pass there.
  const clock: Clock = { now: systemClock.now, monotonic: () => 0 }
  story = await startStory({ clock })
  second = await startTestBroker({ redis: story.redis, far: story.farUrl, instance: 'two', clock })
})
afterAll(async () => {
  await second.close()
  await story.close()
})

const deploy = { action: 'deploy.run' }
const migrate = { action: 'database.migrate', resource: 'database:orders' }

describe('what is held', () => {
  test('in one task counts in another of the same account, until it is proven dead', async () => {
    const caller = story.caller()
    const [one, two] = [await story.task(caller), await story.task(caller)]
    const { lease } = await story.buy(caller, one, deploy)
    const error = await refusalOf(story.buy(caller, two, migrate))
    expect(error).toMatchObject({
      code: 'denied',
      members: { reason: 'forbidden', decision: { policies: ['one-at-a-time-too'] } },
    })
    await story.endTask(one)
    expect(await codeOf(story.buy(caller, two, migrate))).toBe('denied')
    await story.finish(lease.id)
    await story.buy(caller, two, migrate)
  })

  test('by another account is no matter', async () => {
    await story.bought(deploy)
    await story.bought(migrate)
  })

  test('by another instance of the account counts for the account', async () => {
    const first = story.caller('shared', { instance: 'run-1' })
    const other = story.caller('shared', { instance: 'run-2' })
    await story.buy(first, await story.task(first), deploy)
    expect(await codeOf(story.buy(other, await story.task(other), migrate))).toBe('denied')
  })

  test('by a failed mint is not held once it is known that nothing exists', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    story.far.mood.create = 'fails'
    expect(await codeOf(story.buy(caller, task))).toBe('provider_failed')
    story.far.calm()
    await story.finish((await story.onlyLeaseOf(task)).id)
    const { holders } = await story.parts.ledger.lookHolders(task.holders)
    expect(holders.map((one) => [one.holding, one.granted])).toEqual([
      [[], []],
      [[], []],
    ])
  })
})

describe('what was granted', () => {
  const guarded = { action: 'repo.write', resource: 'repo:acme/guarded' }

  test('counts after its end, in this session, and in no other', async () => {
    const caller = story.caller('granted', { instance: 'run-1' })
    const task = await story.task(caller)
    const { lease } = await story.buy(caller, task)
    await story.endTask(task)
    await story.finish(lease.id)
    expect(await codeOf(story.buy(caller, await story.task(caller), guarded))).toBe('denied')
    const next = story.caller('granted', { instance: 'run-2' })
    await story.buy(next, await story.task(next), guarded)
  })

  test('without an instance counts for the account, as its session', async () => {
    const caller = story.caller()
    const { lease, task } = { task: await story.task(caller), ...(await story.buy(caller, await story.task(caller))) }
    await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'a' })
    await story.finish(lease.id)
    expect(await codeOf(story.buy(caller, task, guarded))).toBe('denied')
  })
})

describe('an escalation', () => {
  const inputOf = async (lease: string) => {
    const [reserved] = await story.recordsOf(lease)
    const decision = reserved?.decision as { input: { escalation: boolean } } | undefined
    return decision?.input.escalation
  }

  test('is never the first request of a session, and is marked with the lease that it follows', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const first = await story.buy(caller, task, { ttl_seconds: 30 })
    const same = await story.buy(caller, task, { ttl_seconds: 30 })
    const longer = await story.buy(caller, task, { ttl_seconds: 40 })
    const write = await story.buy(caller, task, { action: 'repo.write', ttl_seconds: 40 })
    const sensitive = await story.buy(caller, task, { resource: 'repo:acme/other', ttl_seconds: 40 })
    const back = await story.buy(caller, task, { ttl_seconds: 5 })
    const all = [first, same, longer, write, sensitive, back]
    expect(await Promise.all(all.map(({ lease }) => inputOf(lease.id)))).toEqual([
      false,
      false,
      true,
      true,
      true,
      false,
    ])
    expect(all.map(({ lease }) => lease.record.follows)).toEqual([
      undefined,
      undefined,
      same.lease.id,
      longer.lease.id,
      write.lease.id,
      undefined,
    ])
  })

  test('is none in another session of the same account', async () => {
    const one = story.caller('escalating', { instance: 'run-1' })
    await story.buy(one, await story.task(one), { ttl_seconds: 10 })
    const two = story.caller('escalating', { instance: 'run-2' })
    const { lease } = await story.buy(two, await story.task(two), { action: 'repo.write', ttl_seconds: 60 })
    expect(await inputOf(lease.id)).toBe(false)
  })
})

test('of 64 simultaneous requests at two brokers that may not be held together exactly one is issued, 50 times', async () => {
  const brokers = [story.parts, second.parts]
  for (let round = 0; round < 50; round++) {
    const caller = story.caller()
    const tasks = [await story.task(caller), await story.task(caller)]
    await story.keepIssuing()
    const answers = await Promise.allSettled(
      Array.from({ length: 64 }, (_, i) => {
        const [parts, task] = [brokers[i % 2], tasks[(i >> 1) % 2]]
        if (!parts || !task) throw new Error('unreachable')
        return untilAnswered(() =>
          exchange(parts, caller, task.id, asking((i >> 2) % 2 === 0 ? deploy : migrate), null),
        )
      }),
    )
    const codes = answers.map((answer) =>
      answer.status === 'fulfilled' ? 'issued' : (answer.reason as { code?: string }).code,
    )
    expect(codes.filter((code) => code !== 'issued' && code !== 'denied')).toEqual([])
    expect(codes.filter((code) => code === 'issued')).toHaveLength(1)
  }
}, 300_000)
