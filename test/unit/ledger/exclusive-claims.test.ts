// What may happen once happens once, whichever of the brokers is asked, and is forgotten when it could not happen again.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { systemClock } from '../../../src/core/clock.js'
import { openTestLedger, type TestLedger } from '../../support/ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'
import { withinTime } from '../../support/wall-time.js'

let redis: TestRedis
let brokers: TestLedger[]
beforeAll(async () => {
  redis = await startTestRedis()
  brokers = [await openTestLedger(redis), await openTestLedger(redis)]
})
afterAll(async () => {
  await Promise.all(brokers.map((one) => one.close()))
  await redis.stop()
})

test('of forty claims at two brokers one is the first', async () => {
  const until = systemClock.now() + 60_000
  const claims = Array.from({ length: 20 }, () => brokers.map(({ ledger }) => ledger.claimOnce('proof', 'same', until)))
  const answers = await Promise.all(claims.flat())
  expect(answers.filter((first) => first)).toHaveLength(1)
  expect(await brokers[0]?.ledger.claimOnce('token', 'same', until)).toBe(true)
})

test('each is kept past its time, and not for ever', async () => {
  const [broker] = brokers
  if (!broker) throw new Error('no broker')
  const kept = async (digest: string, until: number) => {
    await broker.ledger.claimOnce('token', digest, until)
    return await broker.raw.pttl(`${broker.tag}once:token:${digest}`)
  }
  const inAMinute = await kept('a', systemClock.now() + 60_000)
  expect(inAMinute).toBeGreaterThan(60_000)
  expect(inAMinute).toBeLessThanOrEqual(71_000)
  // A broker whose clock is behind may still take it.
  let tries = 0
  expect(await withinTime(4000, () => kept(`b${++tries}`, systemClock.now() - 4000))).toBeGreaterThan(4000)
})
