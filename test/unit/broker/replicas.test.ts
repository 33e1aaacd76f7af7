// A credential is handed out once a replica knows of it: the stories with a slow, a silent and a promoted replica.
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { awaitReceipts } from '../../../src/broker/await-receipts.js'
import { eventually } from '../../support/redis-forms.js'
import { type ReplicatedRedis, startReplicatedRedis } from '../../support/replicated-redis.js'
import { untilBought } from '../../support/representative-stories.js'
import { codeOf, refusalOf, type Story, stage } from '../../support/story.js'

let redis: ReplicatedRedis
let story: Story
beforeEach(async () => {
  redis = await startReplicatedRedis()
  await redis.attach()
  story = await stage(redis, { watched: true })
})
afterEach(async () => {
  await story.close()
})

const replicaKnows = (lease: string) => redis.at.replica.hmget(`{${redis.prefix}}:l:${lease}`, 'state', 'handle')
const watched = () => {
  const { continuity } = story.broker
  if (continuity === null) throw new Error('not watched')
  return continuity
}

test('silent before the mint: 503, nothing at the provider, the lease ended and on record; heard again, on it goes', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  redis.link.hold()
  const refusal = await refusalOf(story.buy(caller, task))
  expect(refusal).toMatchObject({ code: 'ledger_unavailable', detail: expect.stringContaining('no replica') })
  expect(refusal.retryAfterSeconds).toBeGreaterThan(0)
  expect(story.far.seen).toEqual([])
  const lease = await story.onlyLeaseOf(task)
  expect(await story.finish(lease.id)).toMatchObject({ state: 'void', endReason: 'mint_failed' })
  const told = (await story.recordsOf(lease.id)).map(({ event }) => event)
  expect(told).toEqual(['lease.reserved', 'lease.ended'])
  // From here on it is said before anything is reserved.
  expect(await codeOf(story.buy(caller, task))).toBe('ledger_unavailable')
  expect(await story.parts.ledger.leasesOfTask(task.id)).toEqual([lease.id])
  redis.link.release()
  await eventually(async () => Boolean(await story.buy(caller, task)))
})

test('silent during the mint: 503, the credential dead, the lease ended and on record', async () => {
  let task = await story.task(story.caller())
  story.far.during.secret = async () => redis.link.hold()
  // On a busy machine it may be silent before the mint, too: that is the test above, and this one begins again.
  await eventually(async () => {
    const caller = story.caller()
    task = await story.task(caller)
    expect(await refusalOf(story.buy(caller, task))).toMatchObject({ code: 'ledger_unavailable' })
    return story.far.count('secret') > 0
  }, 60_000)
  expect(story.far.count('secret')).toBe(1)
  const lease = await story.onlyLeaseOf(task)
  // Nobody acknowledges its end either, and it ends.
  const ended = await story.finish(lease.id)
  expect(ended).toMatchObject({ state: 'revoked', endReason: 'mint_failed', receipt: { outcome: 'confirmed' } })
  expect(story.far.alive()).toEqual([])
  const told = (await story.recordsOf(lease.id)).map(({ event }) => event)
  expect(told).toEqual(['lease.reserved', 'lease.issued', 'lease.ending', 'lease.ended'])
  redis.link.release()
})

test('revocation waits for no replica', async () => {
  const [bought] = await untilBought(story, 1)
  if (!bought) throw new Error('none')
  const { lease, task } = bought
  redis.link.hold()
  await story.endTask(task)
  expect(await story.finish(lease.id)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
  expect(story.far.alive()).toEqual([])
  redis.link.release()
})

test('the primary dies amid answers: the promoted replica knows every lease that was answered, and ends it', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  // Slower than any answer would be that did not wait for it.
  redis.link.delayBy(200)
  const answered: string[] = []
  let dies: Promise<unknown> | null = null
  const buy = async () => {
    while (dies === null) {
      const bought = await story.buy(caller, task).catch(() => null)
      if (bought !== null) answered.push(bought.lease.id)
      if (answered.length >= 12) dies ??= Promise.all([redis.link.cut(), redis.primary.kill()])
    }
  }
  await Promise.all(Array.from({ length: 6 }, buy))
  await dies
  await redis.promote()
  const known = await Promise.all(answered.map(replicaKnows))
  expect(known.filter(([state, handle]) => state !== 'active' || !handle)).toEqual([])
  expect(answered.length).toBeGreaterThanOrEqual(12)
  // The replica is alone now: nobody is waited for.
  await eventually(async () => Boolean(await story.buy(caller, task)))
  expect(watched().server.replicas).toBe(0)
  // Whose mint the death interrupted waits for the end of its call's time.
  await story.endTask(task)
  for (const id of answered) await story.finish(id)
  const ended = await awaitReceipts(story.parts, answered, 5000)
  expect(new Set(ended.map(({ receipt }) => receipt?.outcome))).toEqual(new Set(['confirmed']))
  expect(story.far.alive().filter((name) => answered.includes(name))).toEqual([])
})

test('a primary that was left behind while its replica was promoted gives nothing more to whoever still talks to it', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  await redis.at.primary.config('SET', 'min-replicas-to-write', '1')
  await eventually(async () => Boolean(await story.buy(caller, task)))
  await redis.promote(false)
  const before = story.far.alive().length
  for (let i = 0; i < 3; i++) {
    expect(await codeOf(story.buy(caller, task))).toBe('ledger_unavailable')
    await watched()
      .beat()
      .catch(() => undefined)
  }
  expect(story.far.alive().length).toBe(before)
  expect((await story.parts.ledger.ready()).full).toContain('min-replicas-to-write')
})
