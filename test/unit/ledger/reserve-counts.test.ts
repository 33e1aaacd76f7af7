// What a reservation counts and holds beside the lease, within which counts it stands, and the approval that it uses up.
import { describe, expect, test } from '@jest/globals'
import { aReservation, aTask, openTask, reserve } from '../../support/ledger.js'
import { aProvider, besideLease, ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()
const day = 86_400_000
let asked = 0

describe('a reservation', () => {
  test('is counted, named to its own session alone, and its holders are remembered two days past its end', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await reserve(at.ledger, task, { provider })
    expect(await besideLease(at, lease, provider, task)).toMatchObject({
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
      const id = `appr_${++asked}`
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
    expect(await at.scoreOf('due:approvals', good)).toBeNull()
    expect(await by(good)).toEqual({ outcome: 'approval', state: 'used' })
  })
})
