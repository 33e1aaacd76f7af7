import { describe, expect, test } from '@jest/globals'
import { activeLease, letTimePass, openTask, reserve } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { withinTime } from '../../support/wall-time.js'

const at = ledgerOfThisFile()

const taken = async (provider: string, limit = 100) => await at.ledger.takeDue([provider], limit)
const receipt = { outcome: 'pending', at: 1, evidence: 'none' } as const

describe('take-due', () => {
  test('hands out what is due, oldest first, each at most every 2 s, and says how long nobody took it', async () => {
    let pages = 0
    const look = async () => {
      const provider = `page-${++pages}`
      const task = await openTask(at.ledger)
      const leases: string[] = []
      for (let i = 0; i < 5; i++) leases.push(await activeLease(at.ledger, task, { provider }))
      for (const [i, lease] of leases.entries()) await letTimePass(at, lease, 70_000 - i * 100)
      return { leases, provider, seen: await withSeen(provider, leases[0] ?? '') }
    }
    const withSeen = async (provider: string, first: string) => {
      const seen = []
      // A long queue does not hide what stands behind it.
      for (const limit of [2, 2, 2, 100]) seen.push(await taken(provider, limit))
      await letTimePass(at, first, 6000)
      return [...seen, await taken(provider)]
    }
    const { leases, seen } = await withinTime(2000, look)
    const [one, two, three, none, again] = seen
    expect([one, two].map((page) => page?.map(({ lease }) => lease))).toEqual([leases.slice(0, 2), leases.slice(2, 4)])
    expect(three).toMatchObject([{ lease: leases[4], attempts: 0, waitingMs: 0 }])
    expect(none).toEqual([])
    expect(again?.map(({ lease }) => lease)).toEqual(leases.slice(0, 1))
    expect(again?.[0]?.waitingMs).toBeGreaterThanOrEqual(6000)
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
    const before = await at.ledger.now()
    await at.ledger.takeDue([], 1)
    const { now, sweptAgoMs } = await at.ledger.ready()
    expect(sweptAgoMs).toBeGreaterThanOrEqual(0)
    expect(sweptAgoMs).toBeLessThanOrEqual(now - before)
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
    const minting = { providerTimeoutMs: 50_000 }
    const lease = await reserve(at.ledger, await openTask(at.ledger), { provider: 'minting' }, minting)
    await at.ledger.endLeases([lease], { reason: 'completed', actor: 'a' })
    expect(await at.ledger.noteHandle(lease, 'sealed')).toBe('state')
    expect(await taken('minting')).toEqual([])
    expect((await at.ledger.claim(lease, 'w')).outcome).toBe('early')
  })
})
