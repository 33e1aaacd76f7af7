import { describe, expect, test } from '@jest/globals'
import type { Reservation } from '../../../src/ledger/way-out.js'
import { aChildOf, activeLease, aReservation, aTask, openTask, reserve } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

const idempotency = { key: 'k1', bodySha256: 'b1' }

describe('what a reservation writes', () => {
  test('a lease that is looked after from the provider time-out plus 5 s on', async () => {
    const task = await openTask(at.ledger)
    const request = await aReservation(at.ledger, task, {}, { providerTimeoutMs: 3000 })
    const answer = await at.ledger.reserve(request)
    if (answer.outcome !== 'ok') throw new Error(answer.outcome)
    expect(answer.expiresAt).toBe(answer.now + 60_000)
    expect(Number(await at.raw.zscore(`${at.tag}due:far`, request.lease))).toBe(answer.now + 8000)
    expect(await at.ledger.findLease(request.lease)).toMatchObject({
      state: 'reserved',
      record: request.record,
      expiresAt: answer.expiresAt,
      sealedHandle: null,
    })
  })

  test('looked after 2 s past its own deadline where that is sooner', async () => {
    const task = await openTask(at.ledger)
    const lease = await reserve(at.ledger, task, {}, { ttlSeconds: 1 })
    const { expiresAt } = (await at.ledger.findLease(lease)) ?? { expiresAt: 0 }
    expect(Number(await at.raw.zscore(`${at.tag}due:far`, lease))).toBe(expiresAt + 2000)
  })

  test('never outlives any task of its chain', async () => {
    const parent = await openTask(at.ledger, aTask(), { ttlSeconds: 50 })
    const child = await openTask(at.ledger, aChildOf(parent), { ttlSeconds: 600 })
    expect(child.expiresAt).toBe(parent.expiresAt)
    const lease = await reserve(at.ledger, child)
    expect((await at.ledger.findLease(lease))?.expiresAt).toBe(parent.expiresAt)
  })

  test('counts as held and as granted for every holder, and raises their versions once', async () => {
    const task = await openTask(at.ledger)
    await reserve(at.ledger, task, { sensitivity: 'low' })
    const first = await at.ledger.lookHolders(task.holders)
    for (const holder of first.holders) {
      expect(holder).toMatchObject({
        activeLeases: 1,
        holding: ['repo.read'],
        holdingAccess: ['read'],
        holdingResources: ['repo:acme/web'],
        granted: ['repo.read'],
        grantedAccess: ['read'],
        grantedResources: ['repo:acme/web'],
        grantedSensitivities: ['low'],
        grantedTtls: [60],
      })
    }
    await reserve(at.ledger, task, { sensitivity: 'low' })
    const second = await at.ledger.lookHolders(task.holders)
    expect(second.holders.map((one) => one.version)).toEqual(first.holders.map((one) => one.version))
    expect(second.holders.map((one) => one.activeLeases)).toEqual([2, 2])
  })
})

describe('what a reservation is refused for', () => {
  /** Everything is wrong at once; each step puts one thing right and the next refusal shows. */
  test('in this order: incarnation, worker, existing lease, used key, closed chain, lock, version, quotas, room', async () => {
    const parent = await openTask(at.ledger)
    const task = await openTask(at.ledger, aChildOf(parent))
    await activeLease(at.ledger, task, { provider: 'crowded' }, { idempotency, capacity: { key: 'room', leases: 1 } })
    const taken = await reserve(at.ledger, task)
    const stale = await aReservation(at.ledger, task, { provider: 'crowded' })
    let request: Reservation = {
      ...stale,
      lease: taken,
      versions: ['nonsense', 'nonsense'],
      idempotency: { key: 'k1', bodySha256: 'other' },
      limits: { task: 2, account: 2, provider: 1 },
      capacity: { key: 'room', leases: 1 },
    }
    const refusal = () => at.ledger.reserve(request)
    const incarnation = (await at.raw.get(`${at.tag}incarnation`)) ?? ''
    const swept = (await at.raw.get(`${at.tag}swept`)) ?? ''
    await at.raw.set(`${at.tag}incarnation`, 'another')
    await at.raw.set(`${at.tag}swept`, Number(swept) - 11_000)
    await at.raw.hset(`${at.tag}locked`, 'resource=repo:acme/web', 1)
    await at.ledger.endTask(parent.id, 'succeeded')

    expect(await refusal()).toEqual({ outcome: 'rolled_back' })
    await at.raw.set(`${at.tag}incarnation`, incarnation)
    expect(await refusal()).toEqual({ outcome: 'no_worker' })
    await at.ledger.takeDue([], 1)
    expect(await refusal()).toEqual({ outcome: 'exists' })
    request = { ...request, lease: stale.lease }
    expect(await refusal()).toMatchObject({ outcome: 'again', bodySha256: 'b1' })
    request = { ...request, idempotency: { key: 'k2', bodySha256: 'b' } }
    expect(await refusal()).toEqual({ outcome: 'closed' })
    await at.raw.hset(`${at.tag}t:${parent.id}`, 'state', 'open')
    expect(await refusal()).toEqual({ outcome: 'locked', target: 'resource=repo:acme/web' })
    await at.raw.hset(`${at.tag}locked`, 'resource=repo:acme/web', 0)
    expect(await refusal()).toEqual({ outcome: 'version' })
    request = { ...request, versions: stale.versions }
    expect(await refusal()).toMatchObject({ outcome: 'quota', limit: 'limits.task.active_leases' })
    request = { ...request, limits: { ...request.limits, task: 3 } }
    expect(await refusal()).toMatchObject({ outcome: 'quota', limit: 'limits.account.active_leases' })
    request = { ...request, limits: { ...request.limits, account: 3 } }
    expect(await refusal()).toMatchObject({ outcome: 'quota', limit: 'limits.provider.active_leases' })
    request = { ...request, limits: { ...request.limits, provider: 2 } }
    expect(await refusal()).toMatchObject({ outcome: 'quota', limit: 'room' })
    request = { ...request, capacity: { key: 'room', leases: 2 } }
    expect(await refusal()).toMatchObject({ outcome: 'ok' })
    // Nothing of the eleven refusals was written.
    expect((await at.ledger.lookHolders(task.holders)).holders.map((one) => one.activeLeases)).toEqual([3, 3])
  })

  test.each(['lease', 'task', 'principal', 'account', 'issuer', 'action', 'resource', 'provider', 'all'])(
    'a lock on its %s',
    async (kind) => {
      const task = await openTask(at.ledger)
      const request = await aReservation(at.ledger, task)
      const values: Record<string, string> = {
        lease: request.lease,
        task: task.id,
        principal: task.principal,
        account: task.account,
        issuer: 'ci',
        action: 'repo.read',
        resource: 'repo:acme/web',
        provider: 'far',
        all: 'true',
      }
      const target = `${kind}=${values[kind]}`
      await at.raw.hset(`${at.tag}locked`, target, 1)
      try {
        expect(await at.ledger.reserve(request)).toEqual({ outcome: 'locked', target })
      } finally {
        await at.raw.del(`${at.tag}locked`)
      }
      expect(await at.ledger.reserve(request)).toMatchObject({ outcome: 'ok' })
    },
  )

  test('a task whose time is up, though nobody has ended it yet', async () => {
    const task = await openTask(at.ledger)
    const request = await aReservation(at.ledger, task)
    await at.raw.hset(`${at.tag}t:${task.id}`, 'expires', 1)
    expect(await at.ledger.reserve(request)).toEqual({ outcome: 'closed' })
  })

  test('a version that any one of the holders has left behind', async () => {
    const task = await openTask(at.ledger)
    const request = await aReservation(at.ledger, task)
    const [account = '', session = ''] = request.versions
    for (const versions of [
      [account, '99'],
      ['99', session],
    ]) {
      expect(await at.ledger.reserve({ ...request, versions })).toEqual({ outcome: 'version' })
    }
  })
})

describe('what a reservation consumes', () => {
  test('the idempotency key, for the same and for another body alike', async () => {
    const task = await openTask(at.ledger)
    const lease = await reserve(at.ledger, task, {}, { idempotency })
    const look = await at.ledger.look(task.id, 'k1', null)
    expect(look).toMatchObject({ prior: { lease, bodySha256: 'b1' } })
    const again = await aReservation(at.ledger, task, {}, { idempotency: { key: 'k1', bodySha256: 'b2' } })
    expect(await at.ledger.reserve(again)).toEqual({ outcome: 'again', lease, bodySha256: 'b1' })
    expect(await at.ledger.look(task.id, 'k2', null)).toMatchObject({ prior: null })
  })

  test("the key of its own task alone: another task's same key is free", async () => {
    const [one, two] = [await openTask(at.ledger), await openTask(at.ledger)]
    await reserve(at.ledger, one, {}, { idempotency })
    await reserve(at.ledger, two, {}, { idempotency })
  })

  test('room at the provider until its own end, however early it is over', async () => {
    const task = await openTask(at.ledger)
    const capacity = { key: 'narrow', leases: 1 }
    const record = { provider: 'roomy', capacity: 'narrow' }
    const lease = await reserve(at.ledger, task, record, { capacity })
    await at.ledger.endLeases([lease], { reason: 'released', actor: 'a', mintOver: true })
    await at.ledger.claim(lease, 'w')
    await at.ledger.settle(lease, 'w', { state: 'revoked', receipt: { outcome: 'confirmed', at: 1, evidence: 'none' } })
    const answer = await at.ledger.reserve(await aReservation(at.ledger, task, record, { capacity }))
    expect(answer).toMatchObject({ outcome: 'quota', limit: 'narrow' })
    if (answer.outcome === 'quota') expect(answer.retryAfterSeconds).toBeGreaterThan(60)
  })

  test('no room when it was never minted', async () => {
    const task = await openTask(at.ledger)
    const capacity = { key: 'void', leases: 1 }
    const record = { provider: 'roomy', capacity: 'void' }
    const lease = await reserve(at.ledger, task, record, { capacity })
    await at.ledger.endLeases([lease], { reason: 'mint_failed', actor: 'a', mintOver: true })
    await at.ledger.claim(lease, 'w')
    await at.ledger.settle(lease, 'w', { state: 'void', receipt: { outcome: 'confirmed', at: 1, evidence: 'none' } })
    await reserve(at.ledger, task, record, { capacity })
  })
})
