import { describe, expect, test } from '@jest/globals'
import type { LeaseState } from '../../../src/ledger/lease.js'
import type { Settlement } from '../../../src/ledger/ledger.js'
import { activeLease, anActivation, letTimePass, openTask, reserve, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { withinTime } from '../../support/wall-time.js'

const at = ledgerOfThisFile()

const end = (lease: string, over = {}) => at.ledger.endLeases([lease], { reason: 'released', actor: 'a', ...over })
const stateOf = async (lease: string) => (await at.ledger.findLease(lease))?.state
const dueAt = async (lease: string) => Number(await at.raw.zscore(`${at.tag}due:far`, lease))
const inAMinute = async () => (await at.ledger.now()) + 60_000

/** Brings a lease into each state by the scripts alone. */
async function leaseIn(state: LeaseState): Promise<string> {
  const task = await openTask(at.ledger)
  if (state === 'reserved') return await reserve(at.ledger, task)
  const lease = await activeLease(at.ledger, task)
  if (state === 'active') return lease
  await end(lease)
  if (state === 'revoking') return lease
  await at.ledger.claim(lease, 'first')
  const lookAt = await inAMinute()
  await at.ledger.settle(
    lease,
    'first',
    settlementOf(state as Settlement['state'], state === 'failed' ? { lookAt } : {}),
  )
  return lease
}

const allStates: LeaseState[] = [
  'reserved',
  'active',
  'revoking',
  'revoked',
  'expired',
  'released',
  'void',
  'failed',
  'abandoned',
]
const isOver = (state: LeaseState) => ['revoked', 'expired', 'released', 'void', 'abandoned'].includes(state)

describe('from each state', () => {
  test.each(allStates)('%s is where it was brought', async (state) => {
    expect(await stateOf(await leaseIn(state))).toBe(state)
  })

  test.each(allStates)('%s, told to end', async (state) => {
    const lease = await leaseIn(state)
    const ready = await end(lease)
    // What ended stays ended; what failed or is on its way already keeps its back-off.
    expect(await stateOf(lease)).toBe(state === 'reserved' || state === 'active' ? 'revoking' : state)
    expect(ready.due.map((one) => one.lease)).toEqual(state === 'active' ? [lease] : [])
  })

  test.each(allStates)('%s, forced to end', async (state) => {
    const lease = await leaseIn(state)
    const ready = await end(lease, { forced: true })
    expect(await stateOf(lease)).toBe(isOver(state) ? state : 'revoking')
    const atOnce = ['active', 'revoking', 'failed'].includes(state)
    expect(ready.due.map((one) => one.lease)).toEqual(atOnce ? [lease] : [])
    expect((await at.ledger.findLease(lease))?.forced).toBe(!isOver(state))
  })

  test.each(allStates)('%s, activated', async (state) => {
    const lease = await leaseIn(state)
    const answer = await at.ledger.activate(lease, { ...anActivation, sealedHandle: 'late' }, [])
    expect(answer.outcome).toBe(state === 'reserved' ? 'ok' : 'state')
    expect(await stateOf(lease)).toBe(state === 'reserved' ? 'active' : state)
    // The handle of a credential that exists is kept whatever became of the lease, unless it is over.
    expect((await at.ledger.findLease(lease))?.sealedHandle).toBe(isOver(state) ? 'sealed' : 'late')
  })

  test.each(allStates)('%s, given a handle', async (state) => {
    const lease = await leaseIn(state)
    expect(await at.ledger.noteHandle(lease, 'noted')).toBe(state === 'reserved' ? 'ok' : 'state')
    expect((await at.ledger.findLease(lease))?.sealedHandle).toBe(isOver(state) ? 'sealed' : 'noted')
  })

  test.each(allStates)('%s, claimed before its time', async (state) => {
    const { outcome } = await at.ledger.claim(await leaseIn(state), 'w')
    expect(outcome).toBe(isOver(state) ? 'terminal' : state === 'revoking' ? 'ok' : 'early')
  })

  test.each(allStates)('%s, claimed when its time is up', async (state) => {
    const lease = await leaseIn(state)
    await letTimePass(at, lease, 70_000)
    const claim = await at.ledger.claim(lease, 'w')
    if (isOver(state)) return expect(claim.outcome).toBe('terminal')
    if (claim.outcome !== 'ok') throw new Error(claim.outcome)
    expect(claim.wasReserved).toBe(state === 'reserved')
    const reasons: Partial<Record<LeaseState, string>> = { reserved: 'not_activated', active: 'expired' }
    expect(claim.lease).toMatchObject({
      state: state === 'failed' ? 'failed' : 'revoking',
      endReason: reasons[state] ?? 'released',
      attempts: state === 'failed' ? 2 : 1,
    })
  })
})

describe('end-leases', () => {
  test('waits for a mint that may still be running, and not for one that is over', async () => {
    const lease = await reserve(at.ledger, await openTask(at.ledger))
    const mintEnds = await dueAt(lease)
    expect(await end(lease)).toMatchObject({ due: [], ordered: [{ id: lease }] })
    expect(await dueAt(lease)).toBe(mintEnds)
    expect((await at.ledger.claim(lease, 'w')).outcome).toBe('early')
    expect(await end(lease, { mintOver: true })).toMatchObject({ due: [{ lease, provider: 'far' }], ordered: [] })
    expect((await at.ledger.claim(lease, 'w')).outcome).toBe('ok')
  })

  test('keeps the first reason and actor', async () => {
    const lease = await activeLease(at.ledger, await openTask(at.ledger))
    await end(lease, { reason: 'completed', actor: 'first' })
    await end(lease, { reason: 'revoked', actor: 'second', forced: true })
    expect(await at.ledger.findLease(lease)).toMatchObject({ endReason: 'completed', endActor: 'first' })
  })

  test('takes more than 200 at once, and ids that are not there', async () => {
    const task = await openTask(at.ledger)
    const leases = await Promise.all(Array.from({ length: 3 }, () => reserveAny(task)))
    const many = [...Array.from({ length: 500 }, (_, i) => `lease_none${i}`), ...leases]
    const ready = await at.ledger.endLeases(many, { reason: 'released', actor: 'a', mintOver: true })
    expect(ready.due.map((one) => one.lease).sort()).toEqual([...leases].sort())
  })
})

async function reserveAny(task: Awaited<ReturnType<typeof openTask>>): Promise<string> {
  for (;;) {
    const lease = await reserve(at.ledger, task).catch(() => null)
    if (lease !== null) return lease
  }
}

describe('a claim', () => {
  test('holds others off for 3 s after the last sign of life, then is taken over', async () => {
    const heldOff = async () => {
      const lease = await leaseIn('revoking')
      const outcomes = [(await at.ledger.claim(lease, 'one')).outcome, (await at.ledger.claim(lease, 'two')).outcome]
      await letTimePass(at, lease, 2500)
      return { lease, outcomes: [...outcomes, (await at.ledger.claim(lease, 'two')).outcome] }
    }
    const { lease, outcomes } = await withinTime(450, heldOff)
    expect(outcomes).toEqual(['ok', 'held', 'held'])
    await letTimePass(at, lease, 700)
    expect(await at.ledger.claim(lease, 'two')).toMatchObject({ outcome: 'ok', lease: { attempts: 2 } })
    expect(await at.ledger.renewClaim(lease, 'one')).toBe(false)
    expect(await at.ledger.settle(lease, 'one', settlementOf('revoked'))).toBe(false)
    expect(await stateOf(lease)).toBe('revoking')
    expect(await at.ledger.settle(lease, 'two', settlementOf('revoked'))).toBe(true)
  })

  test('is kept by renewing it', async () => {
    const renewed = async () => {
      const lease = await leaseIn('revoking')
      await at.ledger.claim(lease, 'one')
      await letTimePass(at, lease, 2500)
      const isKept = await at.ledger.renewClaim(lease, 'one')
      await letTimePass(at, lease, 2500)
      return [isKept, (await at.ledger.claim(lease, 'two')).outcome]
    }
    expect(await withinTime(450, renewed)).toEqual([true, 'held'])
  })

  test('claimed again by the same attempt is no second attempt', async () => {
    const lease = await leaseIn('revoking')
    await at.ledger.claim(lease, 'one')
    expect(await at.ledger.claim(lease, 'one')).toMatchObject({ outcome: 'ok', lease: { attempts: 1 } })
  })

  test('puts the lease where it is found again if its worker dies', async () => {
    const lease = await leaseIn('revoking')
    const before = await at.ledger.now()
    await at.ledger.claim(lease, 'one')
    expect(await dueAt(lease)).toBeGreaterThan(before + 2000)
    expect(await dueAt(lease)).toBeLessThanOrEqual((await at.ledger.now()) + 3000)
  })
})

describe('settle', () => {
  test('settles once: a second answer changes nothing', async () => {
    const lease = await leaseIn('revoking')
    await at.ledger.claim(lease, 'one')
    expect(await at.ledger.settle(lease, 'one', settlementOf('revoked'))).toBe(true)
    expect(await at.ledger.settle(lease, 'one', settlementOf('expired'))).toBe(false)
    expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
    expect(await at.raw.zscore(`${at.tag}due:far`, lease)).toBeNull()
  })

  test('without a claim is refused', async () => {
    const lease = await leaseIn('revoking')
    expect(await at.ledger.settle(lease, 'nobody', settlementOf('revoked'))).toBe(false)
  })

  test('for later puts it where it was told and frees the claim', async () => {
    const lease = await leaseIn('revoking')
    await at.ledger.claim(lease, 'one')
    const lookAt = await inAMinute()
    const receipt = { outcome: 'pending', at: 5, evidence: 'none' } as const
    expect(await at.ledger.settle(lease, 'one', { state: 'revoking', receipt, lookAt })).toBe(true)
    expect(await dueAt(lease)).toBe(lookAt)
    expect(await at.ledger.findLease(lease)).toMatchObject({ state: 'revoking', receipt })
    expect((await at.ledger.claim(lease, 'two')).outcome).toBe('ok')
  })

  test('remembers what the audit is owed until it is written', async () => {
    const lease = await leaseIn('revoking')
    await at.ledger.claim(lease, 'one')
    await at.ledger.settle(lease, 'one', settlementOf('revoked', { owed: true }))
    expect(await at.ledger.takeOwed(1000)).toContain(lease)
    await at.ledger.owedWritten(lease)
    expect(await at.ledger.takeOwed(1000)).not.toContain(lease)
  })

  test.each(['released', 'abandoned'] as const)('%s counts as held until its natural end', async (state) => {
    const task = await openTask(at.ledger)
    const lease = await activeLease(at.ledger, task)
    await end(lease)
    await at.ledger.claim(lease, 'one')
    await at.ledger.settle(lease, 'one', settlementOf(state))
    const held = async () => (await at.ledger.lookHolders(task.holders)).holders.map((one) => one.holding)
    expect(await held()).toEqual([['repo.read'], ['repo.read']])
    expect((await at.ledger.takeDue(['far'], 1000)).map((one) => one.lease)).not.toContain(lease)
    await letTimePass(at, lease, 61_000)
    expect((await at.ledger.takeDue(['far'], 1000)).map((one) => one.lease)).toContain(lease)
    expect((await at.ledger.claim(lease, 'two')).outcome).toBe('terminal')
    expect(await held()).toEqual([[], []])
    expect(await at.raw.zscore(`${at.tag}due:far`, lease)).toBeNull()
    // A second look takes nothing away twice.
    await at.ledger.claim(lease, 'three')
    expect((await at.ledger.lookHolders(task.holders)).holders.map((one) => one.activeLeases)).toEqual([0, 0])
  })
})
