// Redis dies without a word and comes back: nothing hangs, nothing is done twice, and nobody has to be restarted.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connectFailFast, connectPatient, untilReady } from '../../../src/ledger/connection.js'
import { openRedisLedger } from '../../../src/ledger/redis-ledger.js'
import { createRevocationQueue, interactive } from '../../../src/queue/revocation-queue.js'
import {
  activeLease,
  aReservation,
  openTask,
  openTestLedger,
  settlementOf,
  type TestLedger,
} from '../../support/ledger.js'
import { type OwnRedis, startOwnRedis } from '../../support/redis.js'
import { eventually } from '../../support/redis-forms.js'
import { millisecondsOf, quickestOf } from '../../support/wall-time.js'

const quiet = () => undefined
let redis: OwnRedis
let at: TestLedger
beforeAll(async () => {
  redis = await startOwnRedis()
  at = await openTestLedger(redis)
})
afterAll(async () => {
  await at.close()
  await redis.stop()
})

async function timed(work: Promise<unknown>): Promise<{ code: unknown; ms: number }> {
  const started = performance.now()
  const code = await work.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code ?? error,
  )
  return { code, ms: performance.now() - started }
}

async function untilBack(): Promise<void> {
  await eventually(async () => (await at.ledger.now()) > 0)
  await eventually(async () => (await at.raw.ping()) === 'PONG')
  // An outage may last longer than a ledger issues without a sweep.
  await at.ledger.takeDue([], 1)
}

test('every call fails fast while it is away, and works again by itself', async () => {
  const task = await openTask(at.ledger)
  const lease = await activeLease(at.ledger, task)
  const request = await aReservation(at.ledger, task)
  const waiting = at.ledger.waitSettled(new Set([lease]), 200)
  await redis.kill()
  const calls = [
    () => at.ledger.look(task.id, null, null),
    () => at.ledger.reserve(request),
    () => at.ledger.endLeases([lease], { reason: 'released', actor: 'a' }),
    () => at.ledger.claim(lease, 'w'),
    () => at.ledger.takeDue(['far'], 10),
    () => at.ledger.findLease(lease),
    () => at.ledger.findTask(task.id),
    () => at.ledger.ready(),
    () => at.ledger.scanLeases({}, ['far'], null, 10),
    () => at.ledger.takeOwed(10),
  ]
  for (const call of calls) {
    const once = async () => {
      const { code, ms } = await timed(call())
      expect(code).toBe('ledger_unavailable')
      return ms
    }
    expect(await quickestOf(once, 2500)).toBeLessThan(2500)
  }
  await waiting
  await redis.restart()
  await untilBack()
  // kill -9 loses nothing that was answered: the kernel has the append-only file.
  expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'active' })
  expect(await at.ledger.findLease(request.lease)).toBeNull()
  expect(await at.ledger.reserve(request)).toMatchObject({ outcome: 'ok' })
})

test('a call that was under way fails and is not run again after the reconnect', async () => {
  const task = await openTask(at.ledger)
  const request = await aReservation(at.ledger, task)
  // The server stops answering before it has read the call, which lies in its socket when it goes on.
  await at.raw.config('RESETSTAT')
  const pid = Number(/process_id:(\d+)/.exec(await at.raw.info('server'))?.[1])
  process.kill(pid, 'SIGSTOP')
  const unanswered = timed(at.ledger.noteDenial(['once']))
  const { code, ms } = await unanswered
  process.kill(pid, 'SIGCONT')
  expect(code).toBe('ledger_unavailable')
  // It would not answer for as long as it stands still.
  expect(ms).toBeLessThan(20_000)
  await untilBack()
  const minute = Math.floor((await at.ledger.now()) / 60_000)
  const counted = async (at_: number) => Number((await at.raw.hget(`${at.tag}h:once`, `d:${at_ % 12}`)) ?? 0)
  const total = (await counted(minute)) + (await counted(minute - 1))
  // Unanswered means unknown: run once or not at all, never twice.
  expect(total).toBeLessThanOrEqual(1)
  expect(await at.ledger.reserve(request)).toMatchObject({ outcome: 'ok' })
})

test('a call cut off by the death of the server is not sent to the next one', async () => {
  const pid = Number(/process_id:(\d+)/.exec(await at.raw.info('server'))?.[1])
  process.kill(pid, 'SIGSTOP')
  const calls = Array.from({ length: 20 }, () => timed(at.ledger.noteDenial(['never'])))
  await new Promise((resolve) => setTimeout(resolve, 50))
  await redis.kill()
  for (const { code } of await Promise.all(calls)) expect(code).toBe('ledger_unavailable')
  await redis.restart()
  await untilBack()
  expect(await at.raw.exists(`${at.tag}h:never`)).toBe(0)
})

test('those who wait for a receipt are woken again after the outage', async () => {
  const task = await openTask(at.ledger)
  const leases: string[] = []
  for (let i = 0; i < 20; i++) leases.push(await activeLease(at.ledger, task))
  await at.ledger.endLeases(leases, { reason: 'released', actor: 'a' })
  await redis.kill()
  await redis.restart()
  await untilBack()
  const once = async () => {
    const lease = leases.pop() ?? 'none is left'
    await at.ledger.claim(lease, 'w')
    return await millisecondsOf(async () => {
      const woken = at.ledger.waitSettled(new Set([lease]), 5000)
      await at.ledger.settle(lease, 'w', settlementOf('revoked'))
      await woken
    })
  }
  // The subscription comes back a little after the ledger; without it each wait lasts half a second.
  expect(await quickestOf(once, 400, 20)).toBeLessThan(400)
})

test('the queue refuses at once while it is away, and takes jobs again by itself', async () => {
  const jobs = connectFailFast(redis, () => undefined)
  await untilReady(jobs, 30_000)
  const queue = createRevocationQueue(jobs, redis.prefix, () => undefined)
  const due = [{ lease: 'lease_1', provider: 'far', attempts: 0, waitingMs: 0 }]
  await queue.add(due, interactive)
  await redis.kill()
  const once = async () => {
    const { code, ms } = await timed(queue.add(due, interactive))
    expect(code).not.toBe('done')
    return ms
  }
  expect(await quickestOf(once, 2500)).toBeLessThan(2500)
  await redis.restart()
  await untilReady(jobs, 30_000)
  await queue.add([{ ...due[0], attempts: 1 }] as typeof due, interactive)
  await queue.close()
  jobs.disconnect()
})

test('a ledger that lost its memory issues nothing to who knew it before', async () => {
  // The test before it took Redis away, and these connections come back in their own time.
  await untilBack()
  const task = await openTask(at.ledger)
  await at.raw.flushall()
  await at.ledger.takeDue([], 1)
  expect(await at.ledger.reserve(await aReservation(at.ledger, task))).toEqual({ outcome: 'rolled_back' })
  expect((await at.ledger.ready()).incarnation).toBeNull()
})

test('opening gives up after 5 s without Redis', async () => {
  await redis.kill()
  const once = async () => {
    const [commands, subscriber] = [connectFailFast(redis, quiet), connectPatient(redis, quiet)]
    const { code, ms } = await timed(openRedisLedger({ redis: commands, subscriber, prefix: redis.prefix }))
    for (const connection of [commands, subscriber]) connection.disconnect()
    expect(code).toBe('ledger_unavailable')
    return ms
  }
  expect(await quickestOf(once, 7000)).toBeLessThan(7000)
  await redis.restart()
})
