// A Redis that went back forgot leases that are alive: nothing is taken for an orphan until it is whole again.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { endOrphans } from '../../../src/broker/orphans.js'
import type { Parts } from '../../../src/broker/parts.js'
import { createId } from '../../../src/core/ids.js'
import { connectFailFast, connectPatient, untilReady } from '../../../src/ledger/connection.js'
import { type Continuity, openContinuity } from '../../../src/ledger/continuity.js'
import { openRedisLedger } from '../../../src/ledger/redis-ledger.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
let continuity: Continuity
let parts: Parts
const ends: (() => unknown)[] = []
beforeAll(async () => {
  story = await startStory({ provider: { timeoutSeconds: 1 } })
  const { redis } = story
  const quiet = () => undefined
  const commands = connectFailFast(redis, quiet)
  await untilReady(commands, 5000)
  continuity = await openContinuity({
    redis: commands,
    prefix: redis.prefix,
    instance: 'the-sweeper',
    known: null,
    sequence: () => 5,
    monotonic: () => performance.now(),
  })
  const subscriber = connectPatient(redis, quiet)
  const ledger = await openRedisLedger({ redis: commands, subscriber, prefix: redis.prefix, continuity })
  ends.push(() => ledger.close())
  parts = {
    ...story.parts,
    ledger,
    providers: new Map([['far', story.parts.providers.get('far') ?? story.broker.far]]),
  }
})
afterAll(async () => {
  for (const end of ends) await end()
  await story.close()
})

test('what a ledger that was rolled back does not know stays, until what it lost is replayed', async () => {
  const lease = createId('lease', Date.now() - 60_000)
  await fetch(`${story.farUrl}/create?name=${lease}&ends=${Date.now() + 600_000}`)
  await continuity.beat()
  const before = await story.at.raw.hgetall(`${story.at.tag}wal`)
  await continuity.beat()
  await story.at.raw.hset(`${story.at.tag}wal`, before)
  expect(continuity.doubt).toBeNull()
  expect(await endOrphans(parts)).toBe(0)
  expect(continuity.doubt).toContain('rolled back')
  expect(story.far.alive()).toEqual([lease])
  // Whole again, and nobody replayed this lease.
  await continuity.beat(true)
  await story.at.raw.del(`${story.at.tag}turn:orphans:far`)
  expect(await endOrphans(parts)).toBe(1)
  expect(story.far.alive()).toEqual([])
})
