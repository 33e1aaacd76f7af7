import { describe, expect, test } from '@jest/globals'
import { activeLease, letTimePass, openTask, reserve } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

const taken = async (provider: string, limit = 100) => await at.ledger.takeDue([provider], limit)
const receipt = { outcome: 'pending', at: 1, evidence: 'none' } as const

describe('take-due', () => {
  test('hands out what is due, oldest first, each at most every 2 s, and says how long nobody took it', async () => {
    const task = await openTask(at.ledger)
    const record = { provider: 'page' }
    const leases = []
    for (let i = 0; i < 5; i++) leases.push(await activeLease(at.ledger, task, record))
    for (const [i, lease] of leases.entries()) await letTimePass(at, lease, 70_000 - i * 100)
    expect((await taken('page', 2)).map((one) => one.lease)).toEqual(leases.slice(0, 2))
    // A long queue does not hide what stands behind it.
    expect((await taken('page', 2)).map((one) => one.lease)).toEqual(leases.slice(2, 4))
    expect(await taken('page', 2)).toMatchObject([{ lease: leases[4], attempts: 0, waitingMs: 0 }])
    expect(await taken('page')).toEqual([])
    const [first = ''] = leases
    await letTimePass(at, first, 6000)
    const again = await taken('page')
    expect(again.map((one) => one.lease)).toEqual([first])
    expect(again[0]?.waitingMs).toBeGreaterThanOrEqual(6000)
  })

  test('starts counting anew once somebody took it', async () => {
    const record = { provider: 'anew' }
    const lease = await activeLease(at.ledger, await openTask(at.ledger), record)
    await letTimePass(at, lease, 61_000)
    await taken('anew')
    await at.ledger.claim(lease, 'w')
    await at.ledger.settle(lease, 'w', { state: 'revoking', receipt, lookAt: (await at.ledger.now()) - 1 })
    expect(await taken('anew')).toMatchObject([{ lease, attempts: 1, waitingMs: 0 }])
  })

  test('hands out nothing that is not due, and forgets what is not there any more', async () => {
    const record = { provider: 'early' }
    await activeLease(at.ledger, await openTask(at.ledger), record)
    await at.raw.zadd(`${at.tag}due:early`, 1, 'lease_lost')
    expect(await taken('early')).toEqual([])
    expect(await at.raw.zscore(`${at.tag}due:early`, 'lease_lost')).toBeNull()
  })

  test('asks each provider for a page of its own', async () => {
    const task = await openTask(at.ledger)
    for (const provider of ['left', 'right']) {
      for (let i = 0; i < 3; i++) await letTimePass(at, await activeLease(at.ledger, task, { provider }), 61_000)
    }
    const page = await at.ledger.takeDue(['left', 'right'], 2)
    expect(page.map((one) => one.provider)).toEqual(['left', 'left', 'right', 'right'])
  })

  test('is the sign that somebody sweeps', async () => {
    await at.raw.del(`${at.tag}swept`)
    expect((await at.ledger.ready()).sweptAgoMs).toBeNull()
    await at.ledger.takeDue([], 1)
    expect((await at.ledger.ready()).sweptAgoMs).toBeLessThan(1000)
  })
})

describe('a handle that arrives after the end was ordered', () => {
  test('is looked at at once, not when the next empty search would have been', async () => {
    const lease = await reserve(at.ledger, await openTask(at.ledger), { provider: 'late' })
    await at.ledger.endLeases([lease], { reason: 'mint_failed', actor: 'a', mintOver: true })
    await at.ledger.claim(lease, 'w')
    await at.ledger.settle(lease, 'w', { state: 'revoking', receipt, lookAt: (await at.ledger.now()) + 90_000 })
    expect(await taken('late')).toEqual([])
    expect(await at.ledger.noteHandle(lease, 'sealed')).toBe('state')
    expect(await taken('late')).toMatchObject([{ lease }])
  })

  test('waits while the mint may still be running', async () => {
    const lease = await reserve(at.ledger, await openTask(at.ledger), { provider: 'minting' })
    await at.ledger.endLeases([lease], { reason: 'completed', actor: 'a' })
    expect(await at.ledger.noteHandle(lease, 'sealed')).toBe('state')
    expect(await taken('minting')).toEqual([])
    expect((await at.ledger.claim(lease, 'w')).outcome).toBe('early')
  })
})
