// Where Redis has replicas one of them acknowledges what an answer rests on: together for all who ask at once, on a connection of
// its own, and nobody is answered while none does.
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type Connection, connectFailFast, connectPatient, untilReady } from '../../../src/ledger/connection.js'
import { type Continuity, openContinuity } from '../../../src/ledger/continuity.js'
import type { Ledger } from '../../../src/ledger/ledger.js'
import { openRedisLedger } from '../../../src/ledger/redis-ledger.js'
import { createReplicaAcks, type Step } from '../../../src/ledger/replica-acks.js'
import { activeLease, aReservation, openTask, reserve } from '../../support/ledger.js'
import { eventually } from '../../support/redis-forms.js'
import { type ReplicatedRedis, startReplicatedRedis } from '../../support/replicated-redis.js'
import { withinTime } from '../../support/wall-time.js'

let redis: ReplicatedRedis
let continuity: Continuity
let ledger: Ledger
let opened: Connection[]
const quiet = () => undefined

async function open(more: readonly string[] = []) {
  redis = await startReplicatedRedis(more)
  const { prefix, url } = redis
  // It is Redis who says that no replica acknowledged, however long this process stood still.
  const patient = { url, prefix, commandTimeoutMs: 20_000 }
  const commands = connectFailFast(patient, quiet)
  await untilReady(commands, 30_000)
  const monotonic = () => performance.now()
  const told = { instance: 'h', known: null, sequence: () => 0, monotonic }
  continuity = await openContinuity({ redis: commands, prefix, ...told })
  opened = []
  const connect = () => {
    const own = connectFailFast(patient, quiet)
    opened.push(own)
    return own
  }
  const suspectLoss = (reason: string) => continuity.suspectLoss(reason)
  const acks = createReplicaAcks({ connect, prefix, server: continuity.server, suspectLoss })
  ledger = await openRedisLedger({
    redis: commands,
    subscriber: connectPatient(redis, quiet),
    prefix,
    continuity,
    acks,
  })
  await continuity.beat()
}

beforeEach(() => open())
afterEach(async () => {
  await ledger.close()
  await redis.stop()
})

async function attach() {
  await redis.attach()
  await continuity.beat()
  expect(continuity.server.replicas).toBe(1)
}

const waits = async () => Number(/cmdstat_wait:calls=(\d+)/.exec(await redis.at.primary.info('commandstats'))?.[1] ?? 0)
const unacknowledged = {
  code: 'ledger_unavailable',
  retryAfterSeconds: 2,
  detail: expect.stringContaining('no replica'),
}

test('without a replica nothing is asked, and no connection made for it', async () => {
  const lease = await activeLease(ledger, await openTask(ledger))
  await ledger.waitReplicated(lease, 'activated')
  await ledger.waitReplicated('lease_unknown', 'reserved')
  expect([opened.length, await waits()]).toEqual([0, 0])
})

test('who asks at once shares one WAIT, and what they ask for is at the replica by then', async () => {
  await attach()
  redis.link.delayBy(150)
  const task = await openTask(ledger)
  const leases: string[] = []
  for (let i = 0; i < 40; i++) leases.push(await activeLease(ledger, task))
  const ask = () => leases.map((lease) => ledger.waitReplicated(lease, 'activated'))
  // Nobody acknowledges while the host stands still: that try is refused, rightly, and asked for again by itself.
  const count = async (asked: () => Promise<Promise<void>[]>) => {
    await eventually(async () => (await ledger.ready()).full === null)
    const before = await waits()
    const answers = await Promise.allSettled(await asked())
    return { refused: answers.filter(({ status }) => status === 'rejected').length, waits: (await waits()) - before }
  }
  expect(await withinTime(1300, () => count(async () => ask()))).toEqual({ refused: 0, waits: 1 })
  for (const lease of leases)
    expect(await redis.at.replica.hget(`{${redis.prefix}}:l:${lease}`, 'state')).toBe('active')
  expect(opened.length).toBe(1)
  // Whoever comes while one is under way has the next one, all together.
  const inTwoParts = async () => {
    const first = ledger.waitReplicated(leases[0] ?? '', 'activated')
    first.catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 50))
    return [first, ...ask()]
  }
  expect(await withinTime(1300, () => count(inTwoParts))).toEqual({ refused: 0, waits: 2 })
})

/** A host that stands still for a second and a half is a replica that does not answer: then it is asked for again. */
const untilReplicated = (lease: string, step: Step) =>
  eventually(async () => {
    await ledger.waitReplicated(lease, step)
    return true
  })

test('a replica that is silent: nobody is answered, nothing new begins, what ends goes on; then as before', async () => {
  await attach()
  const task = await openTask(ledger)
  const held = await activeLease(ledger, task)
  redis.link.hold()
  await expect(ledger.waitReplicated(held, 'activated')).rejects.toMatchObject(unacknowledged)
  expect(await ledger.ready()).toMatchObject({ doubt: null, full: expect.stringContaining('no replica') })
  await expect(ledger.reserve(await aReservation(ledger, task))).rejects.toMatchObject({ code: 'ledger_unavailable' })
  expect((await ledger.endLeases([held], { reason: 'released', actor: 'a' })).due).toHaveLength(1)
  expect((await ledger.claim(held, 'w')).outcome).toBe('ok')
  redis.link.release()
  await eventually(async () => (await ledger.ready()).full === null)
  await untilReplicated(await activeLease(ledger, task), 'activated')
})

test('a lease that the ledger lacks, or has not so far, is not vouched for', async () => {
  await attach()
  const lease = await reserve(ledger, await openTask(ledger))
  await untilReplicated(lease, 'reserved')
  const lacks = { code: 'ledger_unavailable', detail: expect.stringContaining('another Redis took over') }
  const [good, bad, worse] = await Promise.allSettled([
    ledger.waitReplicated(lease, 'reserved'),
    ledger.waitReplicated('lease_unknown', 'reserved'),
    ledger.waitReplicated(lease, 'activated'),
  ])
  // Those that it has are asked for again by their callers: without the write nothing was acknowledged.
  expect([good.status, bad.status, worse.status]).toEqual(['rejected', 'rejected', 'rejected'])
  expect(bad).toMatchObject({ reason: lacks })
  expect(continuity.doubt).toContain('lacks a lease that it took')
  await continuity.beat()
  expect(continuity.doubt).toBeNull()
})

test('cut off from its replica with min-replicas-to-write it takes nothing, and says why', async () => {
  await attach()
  await redis.at.primary.config('SET', 'min-replicas-to-write', '1')
  redis.link.cut()
  await eventually(async () => (await redis.at.primary.info('replication')).includes('connected_slaves:0'))
  await expect(continuity.beat()).rejects.toMatchObject({ code: 'ledger_unavailable' })
  expect(await ledger.ready()).toMatchObject({ full: expect.stringContaining('min-replicas-to-write') })
  await redis.at.primary.config('SET', 'min-replicas-to-write', '0')
  await continuity.beat()
  expect(await ledger.ready()).toMatchObject({ full: null })
})

test('a Redis that evicts from now on, as a promoted one may, is given nothing new', async () => {
  await redis.at.primary.config('SET', 'maxmemory-policy', 'volatile-ttl')
  await continuity.beat()
  const task = openTask(ledger)
  await expect(task).rejects.toMatchObject({
    code: 'ledger_unavailable',
    detail: expect.stringContaining('volatile-ttl'),
  })
  await redis.at.primary.config('SET', 'maxmemory-policy', 'noeviction')
  await continuity.beat()
  await openTask(ledger)
})
