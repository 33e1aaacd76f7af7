// Each step of a lease, and all that the ledger keeps beside it at that step: when it is due, in which state it is counted, since
// when it should be dead, who holds it. What one step forgets no later one puts right.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Receipt } from '../../../src/ledger/lease.js'
import type { Task } from '../../../src/ledger/task.js'
import {
  activeLease,
  anActivation,
  aReservation,
  aTask,
  letTimePass,
  openTask,
  openTestLedger,
  reserve,
  settlementOf,
  type TestLedger,
} from '../../support/ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'

let redis: TestRedis
let at: TestLedger
beforeAll(async () => {
  redis = await startTestRedis()
  at = await openTestLedger(redis)
})
afterAll(async () => {
  await at.close()
  await redis.stop()
})

const day = 86_400_000
let providers = 0
const aProvider = () => ({ provider: `p${++providers}` })
const score = async (key: string, member: string) => {
  const found = await at.raw.zscore(`${at.tag}${key}`, member)
  return found === null ? null : Number(found)
}
const fieldsOf = (lease: string) => at.raw.hgetall(`${at.tag}l:${lease}`)

/** What stands beside a lease. */
async function beside(lease: string, provider: string, task: Task) {
  const { holders } = await at.ledger.lookHolders(task.holders)
  return {
    due: await score(`due:${provider}`, lease),
    deadSince: await score(`ending:${provider}`, lease),
    counted: await at.raw.hgetall(`${at.tag}n:${provider}`),
    held: holders.map((one) => one.activeLeases),
    inTask: (await at.ledger.findTask(task.id))?.activeLeases,
  }
}
const pending: Receipt = { outcome: 'pending', at: 1, evidence: 'none' }

describe('a reservation', () => {
  test('is counted, named to its own session alone, and its holders are remembered two days past its end', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await reserve(at.ledger, task, { provider })
    expect(await beside(lease, provider, task)).toMatchObject({
      deadSince: null,
      counted: { reserved: '1' },
      held: [1, 1],
      inTask: 1,
    })
    const { holders } = await at.ledger.lookHolders(task.holders)
    expect(holders.map((one) => one.grantedBy)).toEqual([{}, { 'c:read': lease, 't:60': lease }])
    for (const { id } of task.holders) {
      for (const key of [`h:${id}`, `h:${id}:g`]) {
        expect(await at.raw.pttl(`${at.tag}${key}`)).toBeGreaterThan(2 * day + 30_000)
      }
    }
    expect(await at.raw.smembers(`${at.tag}providers`)).toContain(provider)
  })

  test('keeps a holder whose window is longer for that long', async () => {
    const plain = aTask()
    const task = await openTask(at.ledger, {
      ...plain,
      holders: plain.holders.map((holder) => ({ ...holder, windowMs: 10 * day })),
    })
    await reserve(at.ledger, task)
    expect(await at.raw.pttl(`${at.tag}h:${task.holders[0]?.id}`)).toBeGreaterThan(10 * day)
  })

  test('stands only within the counts that it was decided by, both ends included', async () => {
    const task = await openTask(at.ledger)
    const [account = { id: '' }] = task.holders
    await reserve(at.ledger, task)
    const outcomeWithin = async (of: string, min: number, max: number) =>
      (await at.ledger.reserve(await aReservation(at.ledger, task, {}, { counts: [{ of, min, max }] }))).outcome
    for (const whose of ['task', account.id]) {
      expect(await outcomeWithin(whose, 0, 0)).toBe('version')
      expect(await outcomeWithin(whose, 2, 9)).toBe('version')
    }
    expect(await outcomeWithin('task', 1, 1)).toBe('ok')
    expect(await outcomeWithin(account.id, 2, 2)).toBe('ok')
  })

  test("is refused for the account's leases, in whichever session they are, until the first of them could end", async () => {
    const one = await openTask(at.ledger)
    const [account, session] = one.holders
    if (!account || !session) throw new Error('no holders')
    await reserve(at.ledger, one)
    const holders = [account, { ...session, id: `${session.id}-other` }]
    const two = await openTask(at.ledger, { ...aTask({ account: one.account }), holders })
    const limits = { task: 1000, account: 1, provider: 100_000 }
    expect(await at.ledger.reserve(await aReservation(at.ledger, two, {}, { limits }))).toEqual({
      outcome: 'quota',
      limit: 'limits.account.active_leases',
      retryAfterSeconds: 60,
    })
    const wide = { ...limits, account: 2 }
    expect((await at.ledger.reserve(await aReservation(at.ledger, two, {}, { limits: wide }))).outcome).toBe('ok')
  })

  test('uses its approval up: one that is given, in time, and answered as it was seen', async () => {
    const task = await openTask(at.ledger)
    const ask = async (state: string, expires: number) => {
      const id = `appr_${++providers}`
      await at.raw.hset(`${at.tag}a:${id}`, 'state', state, 'expires', expires, 'n', 2)
      await at.raw.zadd(`${at.tag}due:approvals`, expires, id)
      return id
    }
    const later = (await at.ledger.now()) + 60_000
    const by = async (id: string, answers = '2') =>
      await at.ledger.reserve(await aReservation(at.ledger, task, {}, { approval: { id, answers } }))
    for (const state of ['pending', 'denied', 'expired', 'used']) {
      expect(await by(await ask(state, later))).toEqual({ outcome: 'approval', state })
    }
    expect((await by(await ask('approved', 1))).outcome).toBe('approval')
    expect((await by('appr_never')).outcome).toBe('approval')
    const good = await ask('approved', later)
    expect(await by(good, '1')).toEqual({ outcome: 'version' })
    const reservation = await aReservation(at.ledger, task, {}, { approval: { id: good, answers: '2' } })
    expect((await at.ledger.reserve(reservation)).outcome).toBe('ok')
    expect(await at.raw.hgetall(`${at.tag}a:${good}`)).toMatchObject({ state: 'used', lease: reservation.lease })
    expect(await score('due:approvals', good)).toBeNull()
    expect(await by(good)).toEqual({ outcome: 'approval', state: 'used' })
  })
})

describe('an activation', () => {
  test('is due at its deadline from then on, and counted as active', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await reserve(at.ledger, task, { provider })
    const answer = await at.ledger.activate(lease, anActivation, [])
    const fields = await fieldsOf(lease)
    expect(answer).toEqual({ outcome: 'ok', issuedAt: Number(fields.issued) })
    expect(fields).toMatchObject({ state: 'active', handle: 'sealed' })
    expect(fields).not.toHaveProperty('mint')
    expect(await beside(lease, provider, task)).toMatchObject({
      due: Number(fields.expires),
      counted: { active: '1' },
      held: [1, 1],
    })
    expect((await beside(lease, provider, task)).counted).not.toHaveProperty('reserved')
  })

  test('that comes too late, twice or for nothing is refused; what it knows is kept while there is something to end', async () => {
    const task = await openTask(at.ledger)
    const activate = async (lease: string) =>
      (await at.ledger.activate(lease, { ...anActivation, sealedHandle: 'late' }, [])).outcome
    const late = await reserve(at.ledger, task)
    await letTimePass(at, late, 60_001)
    expect(await activate(late)).toBe('late')
    expect(await fieldsOf(late)).toMatchObject({ state: 'reserved', handle: 'late' })
    const ordered = await reserve(at.ledger, task)
    await at.ledger.endLeases([ordered], { reason: 'released', actor: 'a', mintOver: true })
    expect(await activate(ordered)).toBe('state')
    expect(await fieldsOf(ordered)).toMatchObject({ state: 'revoking', handle: 'late' })
    const twice = await activeLease(at.ledger, task)
    expect(await activate(twice)).toBe('state')
    expect((await fieldsOf(twice)).state).toBe('active')
    await at.ledger.claim(ordered, 'w')
    await at.ledger.settle(ordered, 'w', settlementOf('revoked'))
    await at.raw.hdel(`${at.tag}l:${ordered}`, 'handle')
    expect(await activate(ordered)).toBe('state')
    expect(await fieldsOf(ordered)).not.toHaveProperty('handle')
    expect(await activate('lease_never')).toBe('state')
    expect(await at.raw.exists(`${at.tag}l:lease_never`)).toBe(0)
  })

  test('in a task that has ended says so, also where its own end was ordered already', async () => {
    const task = await openTask(at.ledger)
    const [one, two] = [await reserve(at.ledger, task), await reserve(at.ledger, task)]
    await at.ledger.endTask(task.id, 'succeeded')
    await at.ledger.endLeases([two], { reason: 'completed', actor: 'a' })
    for (const lease of [one, two]) {
      expect(await at.ledger.activate(lease, anActivation, [])).toEqual({ outcome: 'closed' })
    }
  })
})

describe('a claim', () => {
  test('of one whose deadline has passed begins its end, and says since when it should be dead', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await activeLease(at.ledger, task, { provider })
    expect(await at.ledger.claim(lease, 'w')).toEqual({ outcome: 'early' })
    await letTimePass(at, lease, 61_000)
    const expires = Number((await fieldsOf(lease)).expires)
    const claim = await at.ledger.claim(lease, 'w')
    if (claim.outcome !== 'ok') throw new Error(claim.outcome)
    expect(claim).toMatchObject({ wasReserved: false, orderedAt: expires, lease: { state: 'revoking', attempts: 1 } })
    expect(claim.lease).toMatchObject({ endReason: 'expired', endActor: 'deadline' })
    expect(await beside(lease, provider, task)).toEqual({
      due: claim.now + 3000,
      deadSince: expires,
      counted: { revoking: '1' },
      held: [1, 1],
      inTask: 1,
    })
    expect(await fieldsOf(lease)).not.toHaveProperty('handed')
  })

  test('of one that was never activated says so, at every attempt', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await reserve(at.ledger, task, { provider })
    expect(await at.ledger.claim(lease, 'w')).toEqual({ outcome: 'early' })
    await letTimePass(at, lease, 15_000)
    const claim = await at.ledger.claim(lease, 'w')
    if (claim.outcome !== 'ok') throw new Error(claim.outcome)
    expect(claim).toMatchObject({ wasReserved: true, lease: { endReason: 'not_activated', endActor: 'sweeper' } })
    expect(await beside(lease, provider, task)).toMatchObject({ deadSince: claim.now, counted: { revoking: '1' } })
    await at.ledger.settle(lease, 'w', settlementOf('revoking', { receipt: pending, lookAt: claim.now }))
    expect(await at.ledger.claim(lease, 'v')).toMatchObject({ wasReserved: true, lease: { attempts: 2 } })
  })

  test('is held against others until it was not renewed for 3 s, and is the same attempt for whoever has it', async () => {
    const { provider } = aProvider()
    const lease = await activeLease(at.ledger, await openTask(at.ledger), { provider })
    await at.ledger.endLeases([lease], { reason: 'released', actor: 'a' })
    const since = await score(`ending:${provider}`, lease)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await at.ledger.claim(lease, 'w')).toMatchObject({
      outcome: 'ok',
      wasReserved: false,
      lease: { attempts: 1 },
    })
    expect(await score(`ending:${provider}`, lease)).toBe(since)
    expect(await at.ledger.claim(lease, 'v')).toEqual({ outcome: 'held' })
    expect(await at.ledger.claim(lease, 'w')).toMatchObject({ outcome: 'ok', lease: { attempts: 1 } })
    await letTimePass(at, lease, 2500)
    expect(await at.ledger.claim(lease, 'v')).toEqual({ outcome: 'held' })
    await letTimePass(at, lease, 600)
    expect(await at.ledger.claim(lease, 'v')).toMatchObject({ outcome: 'ok', lease: { attempts: 2 } })
    expect(await at.ledger.settle(lease, 'w', settlementOf('revoked'))).toBe(false)
    expect((await fieldsOf(lease)).state).toBe('revoking')
  })

  test('waits while its mint may run, and where all that can be done has failed, for its natural end', async () => {
    const task = await openTask(at.ledger)
    const minting = await reserve(at.ledger, task)
    await at.ledger.endLeases([minting], { reason: 'released', actor: 'a' })
    expect(await at.ledger.claim(minting, 'w')).toEqual({ outcome: 'early' })
    const failed = await activeLease(at.ledger, task)
    await at.ledger.endLeases([failed], { reason: 'released', actor: 'a' })
    await at.ledger.claim(failed, 'w')
    await at.ledger.settle(failed, 'w', settlementOf('failed', { receipt: pending, lookAt: 1 }))
    expect(await at.ledger.claim(failed, 'w')).toEqual({ outcome: 'early' })
    await letTimePass(at, failed, 61_000)
    expect((await at.ledger.claim(failed, 'w')).outcome).toBe('ok')
  })

  test('of one that has ended is none; what lives on by itself is held until its natural end, and no longer', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await activeLease(at.ledger, task, { provider })
    // Another one, which must not be counted off in its place.
    await activeLease(at.ledger, task, { provider })
    await at.ledger.endLeases([lease], { reason: 'released', actor: 'a' })
    await at.ledger.claim(lease, 'w')
    await at.ledger.settle(lease, 'w', settlementOf('released'))
    const due = Number((await fieldsOf(lease)).expires)
    const kept = { due, deadSince: null, counted: { released: '1', active: '1' }, held: [2, 2], inTask: 1 }
    expect(await beside(lease, provider, task)).toEqual(kept)
    expect(await at.ledger.claim(lease, 'w')).toEqual({ outcome: 'terminal' })
    expect(await beside(lease, provider, task)).toEqual(kept)
    await letTimePass(at, lease, 61_000)
    const over = { due: null, deadSince: null, counted: { active: '1' }, held: [1, 1], inTask: 1 }
    for (const again of ['once', 'twice']) {
      expect([again, await at.ledger.claim(lease, 'w')]).toEqual([again, { outcome: 'terminal' }])
      expect(await beside(lease, provider, task)).toEqual(over)
    }
    await at.raw.zadd(`${at.tag}due:${provider}`, 1, lease)
    await at.ledger.claim(lease, 'w')
    expect(await score(`due:${provider}`, lease)).toBeNull()
    expect(await at.ledger.claim('lease_never', 'w')).toEqual({ outcome: 'terminal' })
  })
})

describe('what came of an attempt', () => {
  const claimed = async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await activeLease(at.ledger, task, { provider })
    await at.ledger.endLeases([lease], { reason: 'released', actor: 'a' })
    const claim = await at.ledger.claim(lease, 'w')
    if (claim.outcome !== 'ok') throw new Error(claim.outcome)
    return { lease, provider, task, claim, now: claim.now }
  }

  test('more to do: it is looked at again, and its claim is over', async () => {
    const { lease, provider, task, now } = await claimed()
    const before = await beside(lease, provider, task)
    expect(await at.ledger.settle(lease, 'w', settlementOf('revoking', { receipt: pending, lookAt: now + 7000 }))).toBe(
      true,
    )
    expect(await beside(lease, provider, task)).toEqual({ ...before, due: now + 7000 })
    const fields = await fieldsOf(lease)
    expect(fields).toMatchObject({ state: 'revoking', receipt: JSON.stringify(pending), tries: '1' })
    for (const gone of ['by', 'until', 'mint', 'handed']) expect(fields).not.toHaveProperty(gone)
  })

  test('nothing that could be done early: it should be dead at its natural end', async () => {
    const { lease, provider, task, now } = await claimed()
    const receipt: Receipt = { outcome: 'expires_at', at: 1, evidence: 'none' }
    await at.ledger.settle(lease, 'w', settlementOf('revoking', { receipt, lookAt: now + 9000 }))
    expect(await beside(lease, provider, task)).toMatchObject({ due: now + 9000, deadSince: now + 9000 })
  })

  test('a failure is counted as one, and still held', async () => {
    const { lease, provider, task, now } = await claimed()
    const { deadSince } = await beside(lease, provider, task)
    await at.ledger.settle(lease, 'w', settlementOf('failed', { receipt: pending, lookAt: now + 9000 }))
    expect(await beside(lease, provider, task)).toEqual({
      due: now + 9000,
      deadSince,
      counted: { failed: '1' },
      held: [1, 1],
      inTask: 1,
    })
  })

  test('its end: nothing is due, counted or held any more, and it is remembered for a day', async () => {
    const { lease, provider, task } = await claimed()
    await at.ledger.settle(lease, 'w', settlementOf('revoked'))
    expect(await beside(lease, provider, task)).toEqual({
      due: null,
      deadSince: null,
      counted: {},
      held: [0, 0],
      inTask: 0,
    })
    const fields = await fieldsOf(lease)
    expect(fields).toMatchObject({ state: 'revoked', ended: expect.stringMatching(/^\d{13}$/) })
    const keptMs = await at.raw.pttl(`${at.tag}l:${lease}`)
    expect(keptMs).toBeGreaterThan(day + 30_000)
    expect(keptMs).toBeLessThanOrEqual(day + 60_000)
    expect(await at.ledger.settle(lease, 'w', settlementOf('failed'))).toBe(false)
    expect((await fieldsOf(lease)).state).toBe('revoked')
  })

  test('an end after the deadline is remembered for a day, too', async () => {
    const { lease } = await claimed()
    await letTimePass(at, lease, 3 * day)
    await at.ledger.settle(lease, 'w', settlementOf('revoked'))
    expect(await at.raw.pttl(`${at.tag}l:${lease}`)).toBeGreaterThan(day - 30_000)
  })

  test('what was no attempt is not counted, and never below none', async () => {
    const { lease, now } = await claimed()
    const putOff = settlementOf('revoking', { receipt: pending, lookAt: now, uncounted: true })
    await at.ledger.settle(lease, 'w', putOff)
    expect((await fieldsOf(lease)).tries).toBe('0')
    await at.ledger.claim(lease, 'w')
    await at.raw.hset(`${at.tag}l:${lease}`, 'tries', 0)
    await at.ledger.settle(lease, 'w', putOff)
    expect((await fieldsOf(lease)).tries).toBe('0')
  })

  test('is owed to the audit where it could not be written, and only then', async () => {
    const [owing, paid] = [await claimed(), await claimed()]
    await at.ledger.settle(owing.lease, 'w', settlementOf('revoked', { owed: true }))
    await at.ledger.settle(paid.lease, 'w', settlementOf('revoked', { owed: false }))
    expect(await score('owed', owing.lease)).not.toBeNull()
    expect(await score('owed', paid.lease)).toBeNull()
  })
})
