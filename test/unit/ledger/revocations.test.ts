import { describe, expect, test } from '@jest/globals'
import type { Settlement } from '../../../src/ledger/ledger.js'
import { activeLease, letTimePass, openTask, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { withinTime } from '../../support/wall-time.js'

const at = ledgerOfThisFile()

async function order(id: string, leases: string[]): Promise<void> {
  await at.ledger.createRevocation({ id, match: { account: 'x' }, reason: 'r', actor: 'olga', matched: leases.length })
  await at.ledger.endLeases(leases, { reason: 'revoked', actor: 'olga', revocation: id, forced: true })
  await at.ledger.revocationScanned(id)
}

const aLease = async () => await activeLease(at.ledger, await openTask(at.ledger))
const progress = (id: string) => at.ledger.findRevocation(id)

async function attempt(lease: string, state: Settlement['state'], over: Partial<Settlement> = {}): Promise<void> {
  const token = `w-${Math.random()}`
  expect((await at.ledger.claim(lease, token)).outcome).toBe('ok')
  const receipt = { outcome: state === 'failed' ? 'failed' : 'confirmed', at: 1, evidence: 'none' } as const
  const lookAt = (await at.ledger.now()) - 1
  await at.ledger.settle(lease, token, settlementOf(state, { receipt, lookAt, ...over }))
}

const pending = { receipt: { outcome: 'pending', at: 1, evidence: 'none' } } as const

describe('an order', () => {
  test('is running until each of its leases has an answer', async () => {
    const [one, two] = [await aLease(), await aLease()]
    await order('rev_a', [one, two])
    expect(await progress('rev_a')).toMatchObject({
      state: 'running',
      match: { account: 'x' },
      reason: 'r',
      actor: 'olga',
      matched: 2,
      done: 0,
      failed: 0,
    })
    await attempt(one, 'revoked')
    expect(await progress('rev_a')).toMatchObject({ state: 'running', done: 1 })
    await attempt(two, 'revoking', pending)
    expect(await progress('rev_a')).toMatchObject({ state: 'running', done: 1 })
    await attempt(two, 'revoked')
    expect(await progress('rev_a')).toMatchObject({ state: 'done', matched: 2, done: 2, failed: 0 })
    expect((await at.ledger.leasesOfRevocation('rev_a', 0, 10)).sort()).toEqual([one, two].sort())
    expect(await at.ledger.leasesOfRevocation('rev_a', 1, 1)).toHaveLength(1)
  })

  test('is through with a lease that nothing but time can end', async () => {
    const lease = await aLease()
    await order('rev_n', [lease])
    await attempt(lease, 'revoking', { receipt: { outcome: 'expires_at', at: 1, evidence: 'none' } })
    expect(await progress('rev_n')).toMatchObject({ state: 'done', done: 1 })
    await letTimePass(at, lease, 61_000)
    await attempt(lease, 'expired')
    expect(await progress('rev_n')).toMatchObject({ state: 'done', done: 1 })
  })

  test('counts a failed lease as failed, once, and not any more when it ends after all', async () => {
    const lease = await aLease()
    await order('rev_f', [lease])
    await attempt(lease, 'failed')
    expect(await progress('rev_f')).toMatchObject({ state: 'done', done: 0, failed: 1 })
    // The same order carried out again, as after a crash, tries it again.
    await at.ledger.endLeases([lease], { reason: 'revoked', actor: 'olga', revocation: 'rev_f', forced: true })
    expect(await progress('rev_f')).toMatchObject({ state: 'running', failed: 0 })
    await attempt(lease, 'failed')
    expect(await progress('rev_f')).toMatchObject({ failed: 1 })
    await letTimePass(at, lease, 61_000)
    await attempt(lease, 'revoking', pending)
    expect(await progress('rev_f')).toMatchObject({ state: 'running', done: 0, failed: 0 })
    await attempt(lease, 'expired')
    expect(await progress('rev_f')).toMatchObject({ state: 'done', done: 1, failed: 0 })
  })

  test('gets to its end also where a second order reached the same lease', async () => {
    const lease = await aLease()
    await order('rev_1', [lease])
    await order('rev_2', [lease])
    expect(await progress('rev_1')).toMatchObject({ state: 'running', matched: 1 })
    await attempt(lease, 'failed')
    expect(await progress('rev_1')).toMatchObject({ failed: 1 })
    expect(await progress('rev_2')).toMatchObject({ failed: 1 })
    await letTimePass(at, lease, 61_000)
    await attempt(lease, 'revoked')
    for (const id of ['rev_1', 'rev_2']) {
      expect(await progress(id)).toMatchObject({ state: 'done', matched: 1, done: 1, failed: 0 })
    }
  })

  test('that reaches nothing is done when all was looked through', async () => {
    await at.ledger.createRevocation({ id: 'rev_0', match: {}, reason: 'r', actor: 'a', matched: 0 })
    expect(await progress('rev_0')).toMatchObject({ state: 'running' })
    await at.ledger.revocationScanned('rev_0')
    expect(await progress('rev_0')).toMatchObject({ state: 'done', matched: 0 })
    expect(await progress('rev_none')).toBeNull()
  })

  test('is handed out to workers every 2 s until all was looked through', async () => {
    let orders = 0
    const isDue = async (id: string) => (await at.ledger.takeDueRevocations(100)).includes(id)
    const handedOut = async () => {
      const id = `rev_d${++orders}`
      await at.ledger.createRevocation({ id, match: {}, reason: 'r', actor: 'a', matched: 0 })
      return { id, first: await isDue(id), second: await isDue(id) }
    }
    const { id, first, second } = await withinTime(2000, handedOut)
    expect([first, second]).toEqual([true, false])
    await at.raw.zincrby(`${at.tag}due:revocations`, -2100, id)
    expect(await isDue(id)).toBe(true)
    await at.ledger.revocationScanned(id)
    await at.raw.zadd(`${at.tag}due:revocations`, 'XX', 1, id)
    expect(await isDue(id)).toBe(false)
  })

  test('that Redis has forgotten leaves no key behind when its lease ends', async () => {
    const lease = await aLease()
    await order('rev_x', [lease])
    await at.raw.del(`${at.tag}rev:rev_x`)
    await attempt(lease, 'failed')
    await letTimePass(at, lease, 61_000)
    await attempt(lease, 'revoked')
    expect(await at.raw.exists(`${at.tag}rev:rev_x`)).toBe(0)
  })
})
