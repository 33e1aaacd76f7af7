// The order to end leases: which of them there is something to do for at once, which wait and until when, and who hears of it.
import { describe, expect, test } from '@jest/globals'
import type { Ending } from '../../../src/ledger/ledger.js'
import { activeLease, letTimePass, openTask, reserve, settlementOf } from '../../support/ledger.js'
import { aProvider, ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

const released: Ending = { reason: 'released', actor: 'caller' }
const end = async (lease: string, ending: Ending = released) => await at.ledger.endLeases([lease], ending)
const score = async (key: string, member: string) => Number(await at.scoreOf(key, member))
const pending = { outcome: 'pending', at: 1, evidence: 'none' } as const
const attempt = async (lease: string, ...settlement: Parameters<typeof settlementOf>) => {
  expect((await at.ledger.claim(lease, 'w')).outcome).toBe('ok')
  expect(await at.ledger.settle(lease, 'w', settlementOf(...settlement))).toBe(true)
}

describe('an order', () => {
  test('of an active lease is news, is due at once, and counts from then', async () => {
    const { provider } = aProvider()
    const task = await openTask(at.ledger)
    const lease = await activeLease(at.ledger, task, { provider })
    const before = await at.ledger.now()
    const { due, ordered } = await end(lease)
    const after = await at.ledger.now()
    expect(due).toMatchObject([{ lease, provider, attempts: 0 }])
    expect(ordered).toMatchObject([{ id: lease, task: task.id }])
    expect(await at.fieldsOf(lease)).toMatchObject({ state: 'revoking', reason: 'released', actor: 'caller' })
    expect(await at.fieldsOf(lease)).not.toHaveProperty('forced')
    for (const since of [await score(`ending:${provider}`, lease), (await score(`due:${provider}`, lease)) - 500]) {
      expect(since).toBeGreaterThanOrEqual(before)
      expect(since).toBeLessThanOrEqual(after)
    }
    expect(await at.raw.hgetall(`${at.tag}n:${provider}`)).toEqual({ revoking: '1' })
  })

  test('once more for the same is no news and keeps its back-off; for something else it is news, and keeps why it ends', async () => {
    const { provider } = aProvider()
    const lease = await activeLease(at.ledger, await openTask(at.ledger), { provider })
    await end(lease)
    const lookAt = (await at.ledger.now()) + 60_000
    await attempt(lease, 'revoking', { receipt: pending, lookAt })
    expect(await end(lease)).toEqual({ due: [], ordered: [] })
    expect((await end(lease, { reason: 'completed', actor: 'caller' })).ordered).toHaveLength(1)
    expect((await end(lease, { reason: 'released', actor: 'somebody' })).ordered).toHaveLength(1)
    expect(await at.fieldsOf(lease)).toMatchObject({ reason: 'released', actor: 'caller' })
    expect(await score(`due:${provider}`, lease)).toBe(lookAt)
  })

  test('by force is due now, whatever was tried before, and how often', async () => {
    const { provider } = aProvider()
    const lease = await activeLease(at.ledger, await openTask(at.ledger), { provider })
    await end(lease)
    await attempt(lease, 'failed', { receipt: pending, lookAt: (await at.ledger.now()) + 60_000 })
    const forced: Ending = { reason: 'revoked', actor: 'staff:olga', forced: true }
    expect((await end(lease, forced)).due).toMatchObject([{ lease, attempts: 1 }])
    expect(await score(`due:${provider}`, lease)).toBeLessThanOrEqual(await at.ledger.now())
    expect(await at.fieldsOf(lease)).toMatchObject({ state: 'revoking', forced: '1' })
    expect(await at.raw.hgetall(`${at.tag}n:${provider}`)).toEqual({ revoking: '1' })
    // Without force a failure waits for its natural end.
    await attempt(lease, 'failed', { receipt: pending, lookAt: (await at.ledger.now()) + 60_000 })
    expect((await end(lease, { reason: 'completed', actor: 'caller' })).due).toEqual([])
    expect((await at.fieldsOf(lease)).state).toBe('failed')
  })

  test('of one whose mint may still run waits for that, until the mint is known to be over', async () => {
    const { provider } = aProvider()
    const lease = await reserve(at.ledger, await openTask(at.ledger), { provider })
    const { mint } = await at.fieldsOf(lease)
    expect((await end(lease)).due).toEqual([])
    expect(await score(`due:${provider}`, lease)).toBe(Number(mint))
    expect((await end(lease, { ...released, mintOver: true })).due).toMatchObject([{ lease }])
    expect(await at.fieldsOf(lease)).not.toHaveProperty('mint')
    expect(await score(`due:${provider}`, lease)).toBeLessThan(Number(mint))
  })

  test('of one that has ended, or never was, does nothing', async () => {
    const lease = await activeLease(at.ledger, await openTask(at.ledger))
    await end(lease)
    await attempt(lease, 'revoked')
    const before = await at.fieldsOf(lease)
    for (const one of [lease, 'lease_never']) {
      expect(await end(one, { reason: 'revoked', actor: 'a', forced: true })).toEqual({ due: [], ordered: [] })
    }
    expect(await at.fieldsOf(lease)).toEqual(before)
    expect(await at.raw.exists(`${at.tag}l:lease_never`)).toBe(0)
  })

  test('of many is left to workers by rank, and by time should nobody take them', async () => {
    const { provider } = aProvider()
    const task = await openTask(at.ledger)
    const order = { reason: 'revoked', actor: 'a' } as const
    const [long, short] = [
      await activeLease(at.ledger, task, { provider }, { ttlSeconds: 590 }),
      await activeLease(at.ledger, task, { provider }, { ttlSeconds: 5 }),
    ]
    expect((await end(short, { ...order, bulk: 3 })).due).toEqual([])
    expect((await end(long, { ...order, bulk: 1 })).due).toEqual([])
    const now = await at.ledger.now()
    expect(await score(`due:${provider}`, long)).toBe(Number((await at.fieldsOf(long)).expires))
    expect(Math.abs((await score(`due:${provider}`, short)) - now - 10_000)).toBeLessThan(5000)
    expect(await at.raw.pttl(`${at.tag}bulk:${provider}`)).toBeGreaterThan(86_400_000)
    expect(await at.ledger.takeBulk(provider, 10)).toEqual([long, short])
    expect(await at.ledger.takeBulk(provider, 10)).toEqual([])
  })

  test('is answered for leases that have ended before it, and again for those told to wait that are forced now', async () => {
    const done = async (id: string) => (await at.ledger.findRevocation(id))?.done
    const order = async (id: string, lease: string, forced = false) => {
      await at.ledger.createRevocation({ id, match: {}, reason: 'r', actor: 'a', matched: 1 })
      await end(lease, { reason: 'revoked', actor: 'a', revocation: id, forced })
      await at.ledger.revocationScanned(id)
    }
    const over = await activeLease(at.ledger, await openTask(at.ledger))
    await end(over)
    await attempt(over, 'revoked')
    await order('rev_over', over)
    expect(await done('rev_over')).toBe(1)
    const waiting = await activeLease(at.ledger, await openTask(at.ledger))
    await order('rev_first', waiting)
    const receipt = { outcome: 'expires_at', at: 1, evidence: 'none' } as const
    await attempt(waiting, 'revoking', { receipt, lookAt: (await at.ledger.now()) - 1 })
    expect(await done('rev_first')).toBe(1)
    await order('rev_second', waiting)
    expect(await done('rev_second')).toBe(1)
    await order('rev_third', waiting, true)
    expect([await done('rev_first'), await done('rev_third')]).toEqual([0, 0])
    await letTimePass(at, waiting, 61_000)
    await attempt(waiting, 'revoked')
    expect(await Promise.all(['rev_first', 'rev_second', 'rev_third'].map(done))).toEqual([1, 1, 1])
    expect(await at.raw.pttl(`${at.tag}rev:rev_third:l`)).toBeGreaterThan(86_400_000)
  })
})

test('what ends on account of changed rules is counted to those in force, and to no others', async () => {
  const task = await openTask(at.ledger)
  await at.raw.hset(`${at.tag}rules`, 'current', 'now', 'ended', 5)
  const endedBy = async (rules?: string) => {
    const lease = await activeLease(at.ledger, task)
    const ending = { reason: 'policy_changed', actor: 'broker', ...(rules === undefined ? {} : { rules }) } as const
    await end(lease, ending)
    await end(lease, ending)
    return await at.raw.hget(`${at.tag}rules`, 'ended')
  }
  expect([await endedBy('before'), await endedBy(), await endedBy('now'), await endedBy('now')]).toEqual([
    '5',
    '5',
    '6',
    '7',
  ])
})
