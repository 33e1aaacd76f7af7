// What an attempt to end a lease leaves behind: when it is looked at again, or that nothing of it is kept.
import { describe, expect, test } from '@jest/globals'
import type { Receipt } from '../../../src/ledger/lease.js'
import { activeLease, letTimePass, openTask, settlementOf } from '../../support/ledger.js'
import { aProvider, besideLease, ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()
const day = 86_400_000
const pending: Receipt = { outcome: 'pending', at: 1, evidence: 'none' }

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
    const before = await besideLease(at, lease, provider, task)
    expect(await at.ledger.settle(lease, 'w', settlementOf('revoking', { receipt: pending, lookAt: now + 7000 }))).toBe(
      true,
    )
    expect(await besideLease(at, lease, provider, task)).toEqual({ ...before, due: now + 7000 })
    const fields = await at.fieldsOf(lease)
    expect(fields).toMatchObject({ state: 'revoking', receipt: JSON.stringify(pending), tries: '1' })
    for (const gone of ['by', 'until', 'mint', 'handed']) expect(fields).not.toHaveProperty(gone)
  })

  test('nothing that could be done early: it should be dead at its natural end', async () => {
    const { lease, provider, task, now } = await claimed()
    const receipt: Receipt = { outcome: 'expires_at', at: 1, evidence: 'none' }
    await at.ledger.settle(lease, 'w', settlementOf('revoking', { receipt, lookAt: now + 9000 }))
    expect(await besideLease(at, lease, provider, task)).toMatchObject({ due: now + 9000, deadSince: now + 9000 })
  })

  test('a failure is counted as one, and still held', async () => {
    const { lease, provider, task, now } = await claimed()
    const { deadSince } = await besideLease(at, lease, provider, task)
    await at.ledger.settle(lease, 'w', settlementOf('failed', { receipt: pending, lookAt: now + 9000 }))
    expect(await besideLease(at, lease, provider, task)).toEqual({
      due: now + 9000,
      deadSince,
      counted: { failed: '1' },
      held: [1, 1],
      inTask: 1,
    })
  })

  test('its end, whose record is owed: it is remembered until the audit is back, for a month', async () => {
    const { lease } = await claimed()
    await at.ledger.settle(lease, 'w', settlementOf('revoked', { owed: true }))
    expect(await at.ledger.takeOwed(1000)).toContain(lease)
    const keptMs = await at.raw.pttl(`${at.tag}l:${lease}`)
    expect(keptMs).toBeGreaterThan(29 * day)
    expect(keptMs).toBeLessThanOrEqual(30 * day)
  })

  test('its end: nothing is due, counted or held any more, and it is remembered for a day', async () => {
    const { lease, provider, task } = await claimed()
    await at.ledger.settle(lease, 'w', settlementOf('revoked'))
    expect(await besideLease(at, lease, provider, task)).toEqual({
      due: null,
      deadSince: null,
      counted: {},
      held: [0, 0],
      inTask: 0,
    })
    const fields = await at.fieldsOf(lease)
    expect(fields).toMatchObject({ state: 'revoked', ended: expect.stringMatching(/^\d{13}$/) })
    const keptMs = await at.raw.pttl(`${at.tag}l:${lease}`)
    expect(keptMs).toBeGreaterThan(day + 30_000)
    expect(keptMs).toBeLessThanOrEqual(day + 60_000)
    expect(await at.ledger.settle(lease, 'w', settlementOf('failed'))).toBe(false)
    expect((await at.fieldsOf(lease)).state).toBe('revoked')
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
    expect((await at.fieldsOf(lease)).tries).toBe('0')
    await at.ledger.claim(lease, 'w')
    await at.raw.hset(`${at.tag}l:${lease}`, 'tries', 0)
    await at.ledger.settle(lease, 'w', putOff)
    expect((await at.fieldsOf(lease)).tries).toBe('0')
  })

  test('is owed to the audit where it could not be written, and only then', async () => {
    const [owing, paid] = [await claimed(), await claimed()]
    await at.ledger.settle(owing.lease, 'w', settlementOf('revoked', { owed: true }))
    await at.ledger.settle(paid.lease, 'w', settlementOf('revoked', { owed: false }))
    expect(await at.scoreOf('owed', owing.lease)).not.toBeNull()
    expect(await at.scoreOf('owed', paid.lease)).toBeNull()
  })
})
