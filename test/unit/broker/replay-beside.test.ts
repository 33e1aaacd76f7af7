// Orders of commands that ran on a broker's host and ended: where Redis lost them, the programs beside write them again before they
// trust it, and only then.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { keepContinuity } from '../../../src/broker/keep-continuity.js'
import type { ChainBeside } from '../../../src/broker/replay-beside.js'
import { systemClock, toTimestamp } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import { type Connection, connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { type Continuity, openContinuity } from '../../../src/ledger/continuity.js'
import { createRestoration, type Restoration } from '../../../src/ledger/restoration.js'
import { createLogger } from '../../../src/telemetry/logger.js'
import { activeLease, openTask, openTestLedger, type TestLedger } from '../../support/ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'

let redis: TestRedis
let at: TestLedger
let connection: Connection
let restoration: Restoration
beforeAll(async () => {
  redis = await startTestRedis()
  at = await openTestLedger(redis)
  connection = connectFailFast(redis, () => undefined)
  await untilReady(connection, 5000)
  restoration = createRestoration(connection, redis.prefix)
})
afterAll(async () => {
  connection?.disconnect()
  await at?.close()
  await redis?.stop()
})

let hosts = 0
let chain = ''
let serve: Continuity
let records: StoredRecord[]
const written: string[] = []
beforeEach(async () => {
  await at.raw.del(...['locks', 'locked', 'lockers', 'due:locks'].map((name) => `${at.tag}${name}`))
  const host = `host-${process.pid}-${++hosts}`
  chain = `${host}-local`
  records = []
  written.length = 0
  serve = await openContinuity({
    redis: connection,
    prefix: redis.prefix,
    instance: `${host}-serve`,
    known: null,
    sequence: () => 1,
    monotonic: () => performance.now(),
  })
})

const order = (event: string, members: object) => {
  const one = { event, seq: records.length + 1, instance: chain, time: toTimestamp(systemClock.now()), ...members }
  records.push(one as StoredRecord)
}

const beside = (): ChainBeside => ({
  name: chain,
  records: async function* (after) {
    yield* records.filter(({ seq }) => seq > after)
  },
})

const beat = (chains: () => Promise<ChainBeside[]> = async () => [beside()]) =>
  keepContinuity({
    continuity: serve,
    ledger: at.ledger,
    restoration,
    audit: { append: async ({ event }) => written.push(event) },
    log: createLogger('test', 'silent'),
    ownRecords: async function* () {},
    chainsBeside: chains,
    noteIncarnation: async () => undefined,
    memoryMs: 86_400_000,
  })

const lockOf = (lock: string) => {
  const target = { account: 'ci:stolen' }
  const members = { lock, target, reason: 'stolen', actor: 'local:olga', expires_at: null }
  order('lock.set', { ...members, revocation: createId('rev', systemClock.now()) })
}
const locks = async () => (await at.ledger.listLocks(0, 100)).map(({ id }) => id)

test('a lock that Redis lost is set again before anything is trusted, and once', async () => {
  const lock = createId('lock', systemClock.now())
  lockOf(lock)
  expect(serve.doubt).not.toBeNull()
  await beat()
  expect(serve.doubt).toBeNull()
  expect(await locks()).toContain(lock)
  expect(written).toEqual(['ledger.replayed'])
  // Removed by somebody else; the next doubt does not bring it back.
  await at.ledger.removeLock(lock)
  serve.suspectLoss('Redis was away')
  await beat()
  expect(serve.doubt).toBeNull()
  expect(await locks()).not.toContain(lock)
  expect(written).toEqual(['ledger.replayed'])
})

test('what was ended without the ledger is ended in it, whatever was seen of it', async () => {
  const task = await openTask(at.ledger)
  const leases = [await activeLease(at.ledger, task), await activeLease(at.ledger, task)]
  const whose = { actor: 'local:recover', task: task.id }
  order('lease.ending', { ...whose, lease: leases[0], reason: 'revoked' })
  order('lease.ended', { ...whose, lease: leases[1], state: 'revoked', end_reason: 'revoked' })
  await beat()
  expect((await at.ledger.findLeases(leases)).map(({ state }) => state)).toEqual(['revoking', 'revoking'])
  expect(await at.ledger.findLease(leases[0] ?? '')).toMatchObject({ endActor: 'local:recover' })
})

test('where nothing is doubted nothing is read', async () => {
  await beat()
  lockOf(createId('lock', systemClock.now()))
  await beat(() => Promise.reject(new Error('read')))
  expect(await at.ledger.findLockOn(['account:ci:stolen'])).toBeNull()
})

test.each([
  ['a folder', () => Promise.reject(new Error('EACCES'))],
  [
    'a chain',
    async () => [
      {
        name: chain,
        // biome-ignore lint/correctness/useYield: it fails before it has any
        records: async function* (): AsyncGenerator<StoredRecord> {
          throw new Error('EACCES')
        },
      },
    ],
  ],
])('%s that cannot be read keeps nobody from issuing', async (_, chains) => {
  await beat(chains)
  expect(serve.doubt).toBeNull()
})

test('into a ledger that is another one nothing is written', async () => {
  await beat()
  const incarnation = await at.raw.get(`${at.tag}incarnation`)
  const lock = createId('lock', systemClock.now())
  lockOf(lock)
  serve.suspectLoss('Redis was away')
  await at.raw.set(`${at.tag}incarnation`, 'another')
  await beat()
  expect(await locks()).not.toContain(lock)
  await at.raw.set(`${at.tag}incarnation`, incarnation ?? '')
})
