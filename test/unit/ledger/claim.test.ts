// Who may work at a lease's end, when, and in whose stead.
import { describe, expect, test } from '@jest/globals'
import type { Receipt } from '../../../src/ledger/lease.js'
import { activeLease, letTimePass, openTask, reserve, settlementOf } from '../../support/ledger.js'
import { aProvider, besideLease, ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { withinTime } from '../../support/wall-time.js'

const at = ledgerOfThisFile()
const pending: Receipt = { outcome: 'pending', at: 1, evidence: 'none' }

describe('a claim', () => {
  test('of one whose deadline has passed begins its end, and says since when it should be dead', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await activeLease(at.ledger, task, { provider })
    expect(await at.ledger.claim(lease, 'w')).toEqual({ outcome: 'early' })
    await letTimePass(at, lease, 61_000)
    const expires = Number((await at.fieldsOf(lease)).expires)
    const claim = await at.ledger.claim(lease, 'w')
    if (claim.outcome !== 'ok') throw new Error(claim.outcome)
    expect(claim).toMatchObject({ wasReserved: false, orderedAt: expires, lease: { state: 'revoking', attempts: 1 } })
    expect(claim.lease).toMatchObject({ endReason: 'expired', endActor: 'deadline' })
    expect(await besideLease(at, lease, provider, task)).toEqual({
      due: claim.now + 3000,
      deadSince: expires,
      counted: { revoking: '1' },
      held: [1, 1],
      inTask: 1,
    })
    expect(await at.fieldsOf(lease)).not.toHaveProperty('handed')
  })

  test('of one that was never activated says so, at every attempt', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await reserve(at.ledger, task, { provider })
    expect(await at.ledger.claim(lease, 'w')).toEqual({ outcome: 'early' })
    await letTimePass(at, lease, 15_000)
    const claim = await at.ledger.claim(lease, 'w')
    if (claim.outcome !== 'ok') throw new Error(claim.outcome)
    expect(claim).toMatchObject({ wasReserved: true, lease: { endReason: 'not_activated', endActor: 'sweeper' } })
    expect(await besideLease(at, lease, provider, task)).toMatchObject({
      deadSince: claim.now,
      counted: { revoking: '1' },
    })
    await at.ledger.settle(lease, 'w', settlementOf('revoking', { receipt: pending, lookAt: claim.now }))
    expect(await at.ledger.claim(lease, 'v')).toMatchObject({ wasReserved: true, lease: { attempts: 2 } })
  })

  test('is held against others until it was not renewed for 3 s, and is the same attempt for whoever has it', async () => {
    const ending = async () => {
      const { provider } = aProvider()
      const lease = await activeLease(at.ledger, await openTask(at.ledger), { provider })
      await at.ledger.endLeases([lease], { reason: 'released', actor: 'a' })
      return { lease, since: () => at.scoreOf(`ending:${provider}`, lease) }
    }
    const claimed = async () => {
      const { lease, since } = await ending()
      const before = await since()
      await new Promise((resolve) => setTimeout(resolve, 5))
      const claims = [
        await at.ledger.claim(lease, 'w'),
        await at.ledger.claim(lease, 'v'),
        await at.ledger.claim(lease, 'w'),
      ]
      return { claims, before, after: await since() }
    }
    const { claims, before, after } = await withinTime(2900, claimed)
    expect(claims[0]).toMatchObject({ outcome: 'ok', wasReserved: false, lease: { attempts: 1 } })
    expect(claims[1]).toEqual({ outcome: 'held' })
    expect(claims[2]).toMatchObject({ outcome: 'ok', lease: { attempts: 1 } })
    expect(after).toBe(before)
    const heldFor = async (ms: number) => {
      const { lease } = await ending()
      await at.ledger.claim(lease, 'w')
      await letTimePass(at, lease, ms)
      return { lease, claim: await at.ledger.claim(lease, 'v') }
    }
    expect((await withinTime(450, () => heldFor(2500))).claim).toEqual({ outcome: 'held' })
    const { lease, claim } = await heldFor(3100)
    expect(claim).toMatchObject({ outcome: 'ok', lease: { attempts: 2 } })
    expect(await at.ledger.settle(lease, 'w', settlementOf('revoked'))).toBe(false)
    expect((await at.fieldsOf(lease)).state).toBe('revoking')
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
    const due = Number((await at.fieldsOf(lease)).expires)
    const kept = { due, deadSince: null, counted: { released: '1', active: '1' }, held: [2, 2], inTask: 1 }
    expect(await besideLease(at, lease, provider, task)).toEqual(kept)
    expect(await at.ledger.claim(lease, 'w')).toEqual({ outcome: 'terminal' })
    expect(await besideLease(at, lease, provider, task)).toEqual(kept)
    await letTimePass(at, lease, 61_000)
    const over = { due: null, deadSince: null, counted: { active: '1' }, held: [1, 1], inTask: 1 }
    for (const again of ['once', 'twice']) {
      expect([again, await at.ledger.claim(lease, 'w')]).toEqual([again, { outcome: 'terminal' }])
      expect(await besideLease(at, lease, provider, task)).toEqual(over)
    }
    await at.raw.zadd(`${at.tag}due:${provider}`, 1, lease)
    await at.ledger.claim(lease, 'w')
    expect(await at.scoreOf(`due:${provider}`, lease)).toBeNull()
    expect(await at.ledger.claim('lease_never', 'w')).toEqual({ outcome: 'terminal' })
  })
})
