import { describe, expect, test } from '@jest/globals'
import { matches } from '../../../src/ledger/lease-match.js'
import type { LeaseMatch } from '../../../src/ledger/ledger.js'
import { activeLease, letTimePass, listed, manyLeases, openTask, reserve, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { millisecondsOf, quickestOf } from '../../support/wall-time.js'

const at = ledgerOfThisFile()

async function endAll(leases: readonly string[]): Promise<void> {
  await at.ledger.endLeases(leases, { reason: 'revoked', actor: 'a' })
  const end = async (lease: string) => {
    await at.ledger.claim(lease, lease)
    await at.ledger.settle(lease, lease, settlementOf('revoked'))
  }
  await Promise.all(leases.map(end))
}

describe('all live leases', () => {
  test.each([100, 1500])('of %i none is passed over while they end under the reader', async (count) => {
    const ids = await manyLeases(at, `many${count}`, count)
    const seen = new Set<string>()
    for await (const page of at.ledger.liveLeases({}, [`many${count}`])) {
      for (const lease of page) seen.add(lease.id)
      await endAll(page.map((lease) => lease.id))
    }
    expect(seen.size).toBe(ids.length)
  })

  test('leave out what has ended and what does not match', async () => {
    const task = await openTask(at.ledger)
    const record = { provider: 'some' }
    const [one, two] = [await activeLease(at.ledger, task, record), await activeLease(at.ledger, task, record)]
    await at.ledger.endLeases([two], { reason: 'released', actor: 'a' })
    await at.ledger.claim(two, 'w')
    // A copy of a standing secret stays in the index until its natural end, and is no live lease.
    await at.ledger.settle(two, 'w', settlementOf('released'))
    const found = []
    for await (const page of at.ledger.liveLeases({ account: task.account }, ['some'])) found.push(...page)
    expect(found.map((lease) => lease.id)).toEqual([one])
    for await (const page of at.ledger.liveLeases({ account: 'ci:other' }, ['some'])) expect(page).toEqual([])
    for await (const page of at.ledger.liveLeases({ provider: 'far' }, ['some'])) expect(page).toEqual([])
  })
})

describe('what an order reaches', () => {
  test.each([100, 1500])('of %i none is passed over while they end under the reader', async (count) => {
    const ids = await manyLeases(at, `refs${count}`, count)
    const seen = new Set<string>()
    for await (const page of at.ledger.liveRefs({}, [`refs${count}`])) {
      for (const lease of page) seen.add(lease.id)
      await endAll(page.map((lease) => lease.id))
    }
    expect(seen.size).toBe(ids.length)
  })

  test('is for every filter what reading whole leases finds', async () => {
    const [mine, other] = [await openTask(at.ledger), await openTask(at.ledger)]
    const leases = [
      await activeLease(at.ledger, mine, { provider: 'one' }),
      await activeLease(at.ledger, other, { provider: 'one', action: 'repo.write', access: 'write' }),
      await activeLease(at.ledger, other, {
        provider: 'two',
        policies: ['p-9'],
        resource: 'repo:acme/other',
        above: [{ principal: 'prod:spiffe://prod/above', account: 'prod:above' }],
      }),
    ]
    const [first] = await at.ledger.findLeases(leases.slice(0, 1))
    if (!first) throw new Error('no lease')
    const filters: LeaseMatch[] = [
      {},
      { state: 'live' },
      { state: 'active' },
      { state: 'revoking' },
      ...leases.map((lease) => ({ lease })),
      { task: mine.id },
      { principal: first.record.principal },
      { principal: 'ci:nobody' },
      { account: first.record.account },
      { issuer: first.record.principal.split(':')[0] ?? '' },
      { issuer: 'c' },
      { principal: 'prod:spiffe://prod/above' },
      { account: 'prod:above' },
      { issuer: 'prod' },
      { action: 'repo.write' },
      { resource: 'repo:acme/other' },
      { provider: 'one' },
      { provider: 'two' },
      { policy: 'p-9' },
      { policy: 'p' },
      ...first.fingerprints.map((fingerprint) => ({ fingerprint })),
      { fingerprint: 'a'.repeat(64) },
      { fingerprint: first.providerRef ?? '' },
      ...first.record.holders.map((holder) => ({ session: holder.replace(/^s:/, '') })),
      { issuedAfter: first.issuedAt ?? 0 },
      { issuedBefore: (first.issuedAt ?? 0) + 1 },
      { account: first.record.account, action: 'repo.write', state: 'live' },
    ]
    const reached = async (pages: AsyncIterable<{ id: string }[]>) => {
      const ids: string[] = []
      for await (const page of pages) ids.push(...page.map(({ id }) => id))
      return ids.sort()
    }
    const counts = new Set<number>()
    for (const filter of filters) {
      const whole = await reached(at.ledger.liveLeases(filter, ['one', 'two']))
      expect([filter, await reached(at.ledger.liveRefs(filter, ['one', 'two']))]).toEqual([filter, whole])
      expect([filter, (await listed(at, filter, ['one', 'two'], 1)).sort()]).toEqual([filter, whole])
      counts.add(whole.length)
    }
    // The filters told the leases apart.
    expect([...counts].sort()).toEqual([0, 1, 2, 3])
  })
})

describe('a filter', () => {
  test('holds only where each of its parts does', async () => {
    const task = await openTask(at.ledger)
    const id = await activeLease(at.ledger, task)
    const lease = await at.ledger.findLease(id)
    if (!lease) throw new Error('not found')
    const right: LeaseMatch = {
      lease: id,
      task: task.id,
      principal: task.principal,
      account: task.account,
      session: task.account,
      issuer: 'ci',
      action: 'repo.read',
      resource: 'repo:acme/web',
      provider: 'far',
      policy: 'p1',
      state: 'active',
      fingerprint: 'f1',
      issuedAfter: (lease.issuedAt ?? 0) - 1,
      issuedBefore: (lease.issuedAt ?? 0) + 1,
    }
    expect(matches(lease, right)).toBe(true)
    expect(matches(lease, { ...right, state: 'live' })).toBe(true)
    const wrong = { issuedAfter: lease.issuedAt ?? 0, issuedBefore: lease.issuedAt ?? 0 }
    for (const part of Object.keys(right) as (keyof LeaseMatch)[]) {
      const value = part === 'issuedAfter' || part === 'issuedBefore' ? wrong[part] : 'other'
      expect([part, matches(lease, { ...right, [part]: value })]).toEqual([part, false])
    }
  })
})

describe('whether a credential is to be honoured', () => {
  const isLive = (lease: string) => at.ledger.isLive(lease)

  test('only of an active lease, in time, in an open chain, without a lock', async () => {
    const task = await openTask(at.ledger)
    const reserved = await reserve(at.ledger, task)
    expect(await isLive(reserved)).toBe(false)
    expect(await isLive('lease_none')).toBe(false)
    const lease = await activeLease(at.ledger, task)
    expect(await isLive(lease)).toBe(true)
    await at.raw.hset(`${at.tag}locked`, `account=${task.account}`, 1)
    expect(await isLive(lease)).toBe(false)
    await at.raw.del(`${at.tag}locked`)
    expect(await isLive(lease)).toBe(true)
    await at.ledger.endTask(task.id, 'succeeded')
    expect(await isLive(lease)).toBe(false)
  })

  test('not past its deadline, and not once its end is ordered', async () => {
    const task = await openTask(at.ledger)
    const [late, ending] = [await activeLease(at.ledger, task), await activeLease(at.ledger, task)]
    await letTimePass(at, late, 60_001)
    expect(await isLive(late)).toBe(false)
    await at.ledger.endLeases([ending], { reason: 'released', actor: 'a' })
    expect(await isLive(ending)).toBe(false)
  })
})

describe('waiting for a lease to settle', () => {
  test('wakes when it does, at once', async () => {
    const once = async () => {
      const lease = await activeLease(at.ledger, await openTask(at.ledger))
      await at.ledger.endLeases([lease], { reason: 'released', actor: 'a' })
      await at.ledger.claim(lease, 'w')
      return await millisecondsOf(async () => {
        const woken = at.ledger.waitSettled(new Set([lease]), 5000)
        await at.ledger.settle(lease, 'w', settlementOf('revoked'))
        await woken
      })
    }
    expect(await quickestOf(once, 300)).toBeLessThan(300)
  })

  test("does not wake for another's, and looks again by itself after half a second", async () => {
    const [one, other] = [await openTask(at.ledger), await openTask(at.ledger)]
    const mine = await activeLease(at.ledger, one)
    const theirs = await activeLease(at.ledger, other)
    await at.ledger.endLeases([theirs], { reason: 'released', actor: 'a' })
    await at.ledger.claim(theirs, 'w')
    const started = performance.now()
    const woken = at.ledger.waitSettled(new Set([mine]), 5000)
    await at.ledger.settle(theirs, 'w', settlementOf('revoked'))
    await woken
    expect(performance.now() - started).toBeGreaterThan(400)
  })

  test('ends with its time', async () => {
    const once = () => millisecondsOf(() => at.ledger.waitSettled(new Set(['lease_x']), 50))
    expect(await quickestOf(once, 400)).toBeLessThan(400)
  })
})
