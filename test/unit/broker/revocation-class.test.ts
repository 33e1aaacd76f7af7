// What a receipt may say by the class of the credential's revocation.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { revoke } from '../../../src/broker/revoke.js'
import { leaseView } from '../../../src/broker/views.js'
import { systemClock } from '../../../src/core/clock.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => story.far.calm())

const order = (lease: string, over: { forced?: boolean } = {}) =>
  story.parts.ledger.endLeases([lease], { reason: 'released', actor: 'caller', ...over })

async function ordered(action: string, over: { forced?: boolean } = {}): Promise<string> {
  const { lease } = await story.bought({ action, ttl_seconds: 60 })
  await order(lease.id, over)
  return lease.id
}

const dueAt = async (lease: string, provider: string) =>
  Number(await story.at.raw.zscore(`${story.at.tag}due:${provider}`, lease))

describe('by the class of its revocation', () => {
  test('natural_expiry: the receipt names its end at once, and then it expires', async () => {
    const id = await ordered('fixed.read')
    expect(await revoke(story.parts, id)).toBe('later')
    expect(await story.lease(id)).toMatchObject({
      state: 'revoking',
      receipt: { outcome: 'expires_at', evidence: 'none' },
    })
    expect(story.far.seen).not.toContain('revoke')
    expect(await dueAt(id, 'fixed')).toBe((await story.lease(id)).expiresAt)
    await story.pass(id, 61_000)
    story.far.deleteAll()
    expect(await revoke(story.parts, id)).toBe('ended')
    expect(await story.lease(id)).toMatchObject({ state: 'expired', receipt: { outcome: 'confirmed' } })
  })

  test('natural_expiry, on an order by an operator: what can be ended is ended', async () => {
    const id = await ordered('fixed.read', { forced: true })
    expect(await revoke(story.parts, id)).toBe('ended')
    expect(story.far.alive()).not.toContain(id)
    expect(await story.lease(id)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
  })

  test.each([
    ['at once', undefined, 250],
    ['after some seconds', 30, 1000],
  ])('natural_expiry, ended by an order that works %s: looked at until it is seen dead', async (_, spreads, mostMs) => {
    const propagation = spreads === undefined ? {} : { propagationSeconds: spreads }
    const late = await startStory({ provider: { revocation: 'natural_expiry', ...propagation } })
    try {
      const { lease } = await late.bought({ ttl_seconds: 600 })
      await late.parts.ledger.endLeases([lease.id], { reason: 'revoked', actor: 'olga', forced: true })
      late.far.mood.probe = 'fails'
      expect(await revoke(late.parts, lease.id)).toBe('later')
      const { state, receipt } = await late.lease(lease.id)
      expect({ state, receipt }).toMatchObject({ state: 'revoking', receipt: { outcome: 'pending', evidence: 'none' } })
      const due = Number(await late.at.raw.zscore(`${late.at.tag}due:far`, lease.id))
      expect(due - (receipt?.at ?? 0)).toBeLessThanOrEqual(mostMs)
      late.far.calm()
      expect(await revoke(late.parts, lease.id)).toBe('ended')
      expect(await late.lease(lease.id)).toMatchObject({
        state: 'revoked',
        receipt: { outcome: 'confirmed', evidence: 'gone_at_provider' },
      })
    } finally {
      await late.close()
    }
  })

  test.each([false, true])('an offline token (forced: %s) ends at its own expiry and is said to', async (forced) => {
    // It ends when this test says so: a lifetime short enough to be waited for may be over before the first look.
    let passedMs = 0
    const clock = { ...systemClock, now: () => systemClock.now() + passedMs }
    const own = await startStory({ clock })
    try {
      const { lease } = await own.bought({ action: 'offline.read', ttl_seconds: 60 })
      await own.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller', forced })
      expect(await revoke(own.parts, lease.id)).toBe('later')
      expect(await own.lease(lease.id)).toMatchObject({ state: 'revoking', receipt: { outcome: 'expires_at' } })
      passedMs = 60_000
      await own.pass(lease.id, passedMs)
      expect(await revoke(own.parts, lease.id)).toBe('ended')
      expect(await own.lease(lease.id)).toMatchObject({
        state: 'expired',
        receipt: { outcome: 'confirmed', evidence: 'probe_dead' },
      })
    } finally {
      await own.close()
    }
  })

  test('standing: released, not revocable, and held until its natural end', async () => {
    const { lease, task } = await story.bought({ action: 'copy.read', ttl_seconds: 60 })
    await order(lease.id)
    expect(await revoke(story.parts, lease.id)).toBe('ended')
    expect(await story.lease(lease.id)).toMatchObject({
      state: 'released',
      receipt: { outcome: 'not_revocable', evidence: 'none' },
    })
    const held = async () => (await story.parts.ledger.lookHolders(task.holders)).holders.map((one) => one.holding)
    expect(await held()).toEqual([['copy.read'], ['copy.read']])
    await story.pass(lease.id, 60_000)
    expect(await revoke(story.parts, lease.id)).toBe('skipped')
    expect(await held()).toEqual([[], []])
  })

  test('standing, and nobody to ask past its natural end: no time ends a copy, and no receipt says so', async () => {
    const id = await ordered('copy.read')
    story.far.mood.revoke = 'fails'
    expect(await revoke(story.parts, id)).toBe('later')
    await story.pass(id, 60_000 + 61_000)
    expect(await revoke(story.parts, id)).toBe('ended')
    expect(await story.lease(id)).toMatchObject({
      state: 'released',
      receipt: { outcome: 'not_revocable', evidence: 'none' },
    })
  })

  test('standing: a caller is told of no time at which the provider would end the copy', async () => {
    const { lease } = await story.bought({ action: 'copy.read', ttl_seconds: 60 })
    expect(leaseView(await story.lease(lease.id))).toMatchObject({ state: 'active', provider_expires_at: null })
    const { lease: other } = await story.bought({ ttl_seconds: 60 })
    expect(leaseView(await story.lease(other.id)).provider_expires_at).not.toBeNull()
  })

  test('to wait until a revocation has spread is no attempt: an error after many looks is tried again', async () => {
    const slow = await startStory({ provider: { propagationSeconds: 30, revocation: 'deny_policy' } })
    try {
      const { lease } = await slow.bought()
      await slow.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'a' })
      slow.far.mood.probe = 'fails'
      for (let i = 0; i < 20; i++) expect(await revoke(slow.parts, lease.id)).toBe('later')
      slow.far.mood.revoke = 'fails'
      expect(await revoke(slow.parts, lease.id)).toBe('later')
      expect(await slow.lease(lease.id)).toMatchObject({ state: 'revoking', receipt: { outcome: 'pending' } })
      slow.far.calm()
      expect((await slow.finish(lease.id)).state).toBe('revoked')
    } finally {
      await slow.close()
    }
  })

  test('a revocation that needs time to spread is looked at each second until it has', async () => {
    const slow = await startStory({ provider: { propagationSeconds: 3, revocation: 'deny_policy' } })
    try {
      const { lease } = await slow.bought()
      await slow.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'a' })
      slow.far.mood.probe = 'fails'
      for (let i = 0; i < 4; i++) {
        expect(await revoke(slow.parts, lease.id)).toBe('later')
        const due = Number(await slow.at.raw.zscore(`${slow.at.tag}due:far`, lease.id))
        expect(due - ((await slow.lease(lease.id)).receipt?.at ?? 0)).toBe(1000)
      }
      slow.far.calm()
      expect(await revoke(slow.parts, lease.id)).toBe('ended')
    } finally {
      await slow.close()
    }
  })
})
