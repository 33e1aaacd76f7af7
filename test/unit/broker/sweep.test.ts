// What the sweeper finds without any queue: what is due, half-made, overdue or lost. No worker runs in this file.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sweep } from '../../../src/broker/sweep.js'
import { createId } from '../../../src/core/ids.js'
import { aReservation } from '../../support/ledger.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ provider: { timeoutSeconds: 20 } })
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
})

/** Its deadline is this moment. */
async function becomesDue(id: string) {
  const { expiresAt } = await story.lease(id)
  await story.pass(id, expiresAt - (await story.parts.ledger.now()))
}

/** Adds the job that nobody takes; then as much time as the sweeper's patience has. */
async function sweepWhenJobIsLost(id: string) {
  // What was just ordered is left to its job for half a second.
  await story.pass(id, 500)
  await story.sweep()
  await story.pass(id, 5100)
  await story.sweep()
}

describe('a lease that is due', () => {
  test('past its deadline is ended although its job was lost', async () => {
    const { lease } = await story.bought({ ttl_seconds: 20 })
    await story.sweep()
    expect(story.far.alive()).toContain(lease.id)
    await story.pass(lease.id, 20_000)
    await story.sweep()
    // A job was added for it, and a worker would have it now.
    expect((await story.lease(lease.id)).state).toBe('active')
    await story.pass(lease.id, 5100)
    await story.sweep()
    expect(await story.lease(lease.id)).toMatchObject({ state: 'expired', endReason: 'expired' })
    expect(story.far.alive()).not.toContain(lease.id)
  })

  test('ordered to end, whose job was lost, is ended', async () => {
    const { lease, task } = await story.bought()
    await story.endTask(task)
    await sweepWhenJobIsLost(lease.id)
    expect(await story.lease(lease.id)).toMatchObject({ state: 'revoked', endReason: 'completed' })
  })

  test('reserved by a broker that died before the mint: void, and the record is written late', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const reservation = await aReservation(story.parts.ledger, task, { mark: { name: 'never minted' } })
    expect((await story.parts.ledger.reserve(reservation)).outcome).toBe('ok')
    await story.sweep()
    expect((await story.lease(reservation.lease)).state).toBe('reserved')
    await story.pass(reservation.lease, 10_100)
    await sweepWhenJobIsLost(reservation.lease)
    expect(await story.lease(reservation.lease)).toMatchObject({ state: 'void', endReason: 'not_activated' })
    expect(await story.recordsOf(reservation.lease)).toMatchObject([{ event: 'lease.ended', state: 'void' }])
  })

  test('reserved by a broker that died during the mint is found by its mark and revoked', async () => {
    const task = await story.task(story.caller())
    const lease = createId('lease', story.parts.clock.now())
    const reservation = await aReservation(story.parts.ledger, task, { mark: { name: lease } }, { lease })
    await story.parts.ledger.reserve(reservation)
    await fetch(`${story.farUrl}/create?name=${lease}&ends=${Date.now() + 60_000}`)
    expect(story.far.alive()).toContain(lease)
    await story.pass(lease, 10_100)
    await sweepWhenJobIsLost(lease)
    expect(await story.lease(lease)).toMatchObject({ state: 'revoked' })
    expect(story.far.alive()).not.toContain(lease)
  })
})

describe('a task', () => {
  test('whose time is up is ended with its leases, as deadline', async () => {
    const { lease, task, caller } = await story.bought()
    await story.at.raw.zadd(`${story.at.tag}due:tasks`, 1, task.id)
    await story.sweep()
    expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ state: 'ended', outcome: 'deadline' })
    expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', endReason: 'deadline', endActor: 'sweeper' })
    expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
    const [record] = (await story.records('task.ended')).filter((one) => one.task === task.id)
    expect(record).toMatchObject({ outcome: 'deadline', actor: 'sweeper' })
  })

  test('whose end was interrupted before its leases were told is carried on, with the outcome that it had', async () => {
    const { lease, task } = await story.bought()
    await story.parts.ledger.endTask(task.id, 'cancelled')
    await story.at.raw.zincrby(`${story.at.tag}due:tasks`, -2100, task.id)
    await story.sweep()
    expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', endReason: 'completed' })
    const records = (await story.records('task.ended')).filter((one) => one.task === task.id)
    expect(records).toMatchObject([{ outcome: 'cancelled' }])
    expect(await story.at.raw.zscore(`${story.at.tag}due:tasks`, task.id)).toBeNull()
  })

  test('whose end could not be put on record is put on record when the audit is back', async () => {
    const { lease, task } = await story.bought()
    story.broker.auditSwitch.isDown = () => true
    expect(await codeOf(story.endTask(task))).toBe('audit_unavailable')
    // The way back does not wait for the audit.
    expect((await story.lease(lease.id)).state).toBe('revoking')
    await story.at.raw.zincrby(`${story.at.tag}due:tasks`, -2100, task.id)
    await story.sweep()
    story.broker.auditSwitch.isDown = () => false
    await story.at.raw.zincrby(`${story.at.tag}due:tasks`, -2100, task.id)
    await story.sweep()
    const records = (await story.records('task.ended')).filter((one) => one.task === task.id)
    expect(records).toMatchObject([{ outcome: 'succeeded' }])
    expect(await story.at.raw.zscore(`${story.at.tag}due:tasks`, task.id)).toBeNull()
  })
})

describe('without a queue', () => {
  test('the sweeper ends by itself what no job can be added for, and completing a task still answers', async () => {
    const alone = await startStory()
    try {
      const { lease, task } = await alone.bought()
      alone.broker.cutQueue()
      await alone.endTask(task)
      expect((await alone.lease(lease.id)).state).toBe('revoking')
      await alone.pass(lease.id, 500)
      await alone.sweep()
      expect(await alone.lease(lease.id)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
      expect(alone.far.alive()).toEqual([])
      const late = await alone.bought({ ttl_seconds: 20 })
      await alone.pass(late.lease.id, 20_000)
      await alone.sweep()
      expect((await alone.lease(late.lease.id)).state).toBe('expired')
    } finally {
      await alone.close()
    }
  })
})

describe('an audit disk that is slow', () => {
  test('keeps the sweep neither from what else is due nor from being seen', async () => {
    const tasks = []
    for (let i = 0; i < 20; i++) tasks.push((await story.bought()).task)
    const { lease } = await story.bought({ ttl_seconds: 20 })
    for (const task of tasks) await story.at.raw.zadd(`${story.at.tag}due:tasks`, 1, task.id)
    await story.pass(lease.id, 20_000)
    let answers: () => void = () => {}
    const disk = new Promise<void>((resolve) => {
      answers = resolve
    })
    let writing = 0
    const append: typeof story.parts.audit.append = async (record) => {
      writing++
      await disk
      return await story.parts.audit.append(record)
    }
    const slow = { ...story.parts, audit: { append } }
    try {
      // Each of these would wait for the disk, which answers nobody until both are over.
      await sweep(slow, story.pool)
      await story.at.raw.zincrby(`${story.at.tag}due:far`, -5100, lease.id)
      await sweep(slow, story.pool)
      for (let i = 0; i < 1000 && writing < 2; i++) await new Promise((resolve) => setTimeout(resolve, 20))
      // Their ends are ordered meanwhile, many side by side.
      expect(writing).toBeGreaterThanOrEqual(2)
    } finally {
      answers()
    }
    await story.pool.settled()
    await story.sweep()
    for (const task of tasks.slice(0, 16))
      expect(await story.parts.ledger.findTask(task.id)).toMatchObject({ state: 'ended', outcome: 'deadline' })
  })
})

describe('a provider that hangs', () => {
  // On a stage of its own: what the tests before left to be ended would hang beside it.
  beforeAll(async () => {
    await story.close()
    story = await startStory({ provider: { timeoutSeconds: 20 } })
  })

  test('holds up neither the sweep nor the other providers', async () => {
    const hung: string[] = []
    for (let i = 0; i < 20; i++) hung.push((await story.bought({ ttl_seconds: 60 })).lease.id)
    const { lease: other } = await story.bought({ action: 'token.read', ttl_seconds: 60 })
    story.far.mood.revoke = 'hangs'
    // Due just now, however long the buying took: what is overdue for 5 s would be the first sweep's own work already.
    for (const id of [...hung, other.id]) await becomesDue(id)
    await story.sweep()
    for (const id of [...hung, other.id]) await story.pass(id, 5100)
    const started = performance.now()
    await sweep(story.parts, story.pool)
    // The next sweeps come as if nothing were the matter, and begin nothing twice.
    await sweep(story.parts, story.pool)
    // None of them waited for the provider, which takes its 20 s.
    expect(performance.now() - started).toBeLessThan(10_000)
    expect((await story.parts.ledger.ready()).sweptAgoMs).toBeLessThan(10_000)
    for (let i = 0; i < 300 && (await story.lease(other.id)).state !== 'expired'; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect((await story.lease(other.id)).state).toBe('expired')
    expect((await story.lease(hung[0] ?? '')).state).toBe('revoking')
    for (let i = 0; i < 300 && story.far.count('revoke') < 16; i++)
      await new Promise((resolve) => setTimeout(resolve, 50))
    expect(story.far.count('revoke')).toBeGreaterThanOrEqual(16)
    expect(story.far.count('revoke')).toBeLessThanOrEqual(hung.length)
    story.far.calm()
    story.far.hangUp()
    await story.pool.settled()
    for (const id of hung) expect((await story.finish(id)).state).toBe('expired')
  })
})
