// Redis near its memory's end: nothing new is begun while there is still room to end what is out.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Connection, connectFailFast, connectPatient, untilReady } from '../../../src/ledger/connection.js'
import { type Continuity, openContinuity } from '../../../src/ledger/continuity.js'
import type { Ledger } from '../../../src/ledger/ledger.js'
import { openRedisLedger } from '../../../src/ledger/redis-ledger.js'
import {
  activeLease,
  aReservation,
  openTask,
  openTestLedger,
  reserve,
  settlementOf,
  type TestLedger,
} from '../../support/ledger.js'
import { type OwnRedis, startOwnRedis } from '../../support/redis.js'

let redis: OwnRedis
let at: TestLedger
let commands: Connection
let continuity: Continuity
let ledger: Ledger
beforeAll(async () => {
  redis = await startOwnRedis()
  at = await openTestLedger(redis)
  const quiet = () => undefined
  commands = connectFailFast(redis, quiet)
  await untilReady(commands, 30_000)
  const { prefix } = redis
  const monotonic = () => performance.now()
  continuity = await openContinuity({
    redis: commands,
    prefix,
    instance: 'h',
    known: null,
    sequence: () => 0,
    monotonic,
  })
  await continuity.beat()
  ledger = await openRedisLedger({ redis: commands, subscriber: connectPatient(redis, quiet), prefix, continuity })
})
afterAll(async () => {
  await ledger?.close()
  await at?.close()
  await redis?.stop()
})

/** Most of its memory is this, so that buffers of connections that come and go are no part of a hundredth. */
const ballast = 40_000_000

async function fillTo(percent: number): Promise<void> {
  const used = Number(/used_memory:(\d+)/.exec(await at.raw.info('memory'))?.[1])
  await at.raw.config('SET', 'maxmemory', `${Math.floor((used * 100) / percent)}`)
  await continuity.beat()
}

test('from 90 % on nothing is issued, and all that ends credentials goes on', async () => {
  await at.raw.setrange(`${at.tag}ballast`, ballast, 'x')
  const task = await openTask(ledger)
  const held = await activeLease(ledger, task)
  expect(await ledger.ready()).toMatchObject({ full: null })
  await fillTo(80)
  await reserve(ledger, task)
  await fillTo(95)
  const request = await aReservation(ledger, task)
  const refused = { code: 'ledger_unavailable', detail: expect.stringMatching(/9\d % of its maxmemory/) }
  await expect(ledger.reserve(request)).rejects.toMatchObject(refused)
  await expect(openTask(ledger)).rejects.toMatchObject(refused)
  expect(await ledger.ready()).toMatchObject({ doubt: null, full: expect.stringMatching(/maxmemory/) })
  expect(await ledger.findLease(request.lease)).toBeNull()
  expect((await ledger.endLeases([held], { reason: 'released', actor: 'a' })).due).toHaveLength(1)
  expect((await ledger.claim(held, 'w')).outcome).toBe('ok')
  expect(await ledger.settle(held, 'w', settlementOf('revoked'))).toBe(true)
  await at.raw.config('SET', 'maxmemory', '0')
  await continuity.beat()
  expect((await ledger.reserve(request)).outcome).toBe('ok')
})
