// The way back, one lease at a time: what each answer of the provider makes of it, and what the receipt may say.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { revoke } from '../../../src/broker/revoke.js'
import type { EndReason } from '../../../src/ledger/lease.js'
import { type Story, startStory } from '../../support/story.js'
import { until } from '../../support/wire-checks.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
})

const order = (lease: string, over: { reason?: EndReason; forced?: boolean } = {}) =>
  story.parts.ledger.endLeases([lease], { reason: 'released', actor: 'caller', ...over })

async function ordered(): Promise<string> {
  const { lease } = await story.bought({ ttl_seconds: 60 })
  await order(lease.id)
  return lease.id
}

const dueAt = async (lease: string) => Number(await story.at.raw.zscore(`${story.at.tag}due:far`, lease))

const eventsOf = async (lease: string) => (await story.recordsOf(lease)).map((record) => record.event)

describe('a credential that is revoked', () => {
  test('is dead, and the receipt says that somebody looked', async () => {
    const id = await ordered()
    expect(await revoke(story.parts, id)).toBe('ended')
    expect(story.far.alive()).not.toContain(id)
    expect(story.far.seen.slice(-2)).toEqual(['revoke', 'probe'])
    expect(await story.lease(id)).toMatchObject({
      state: 'revoked',
      endReason: 'released',
      endActor: 'caller',
      receipt: { outcome: 'confirmed', evidence: 'probe_dead' },
    })
    expect((await story.recordsOf(id)).at(-1)).toMatchObject({
      event: 'lease.ended',
      state: 'revoked',
      end_reason: 'released',
      actor: 'caller',
      attempts: 1,
      receipt: { outcome: 'confirmed', evidence: 'probe_dead' },
    })
  })

  test('is not touched again', async () => {
    const id = await ordered()
    await story.finish(id)
    story.far.calm()
    expect(await revoke(story.parts, id)).toBe('skipped')
    expect(story.far.seen).toEqual([])
    expect((await eventsOf(id)).filter((event) => event === 'lease.ended')).toHaveLength(1)
  })

  test('that was gone already is said to have been gone', async () => {
    const id = await ordered()
    story.far.deleteAll()
    await revoke(story.parts, id)
    expect(await story.lease(id)).toMatchObject({
      state: 'revoked',
      receipt: { outcome: 'confirmed', evidence: 'gone_at_provider' },
    })
  })

  test('an active one is left alone until its deadline, and then ended as expired', async () => {
    const { lease } = await story.bought({ ttl_seconds: 20 })
    expect(await revoke(story.parts, lease.id)).toBe('skipped')
    await story.pass(lease.id, 20_000)
    expect(await revoke(story.parts, lease.id)).toBe('ended')
    expect(await story.lease(lease.id)).toMatchObject({
      state: 'expired',
      endReason: 'expired',
      endActor: 'deadline',
      receipt: { outcome: 'confirmed', evidence: 'probe_dead' },
    })
  })
})

describe('a provider that cannot now', () => {
  test.each(['fails', 'cut', 'garbage'] as const)(
    '%s: it is tried again, less and less often, until it is dead',
    async (mood) => {
      const id = await ordered()
      story.far.mood.revoke = mood === 'garbage' ? 'fails' : mood
      if (mood === 'garbage') {
        story.far.mood.revoke = 'works'
        story.far.mood.probe = 'garbage'
      }
      // `cut` did it and could not say so: the next attempt finds it gone.
      const waits = []
      for (let i = 0; i < (mood === 'cut' ? 1 : 5); i++) {
        expect(await revoke(story.parts, id)).toBe('later')
        const lease = await story.lease(id)
        expect(lease).toMatchObject({ state: 'revoking', receipt: { outcome: 'pending', evidence: 'none' } })
        // From the attempt itself, by the ledger's clock: however long this test stood still since.
        waits.push((await dueAt(id)) - (lease.receipt?.at ?? 0))
      }
      for (const [i, wait] of waits.entries()) {
        expect(wait).toBeLessThanOrEqual(250 * 2 ** i)
        expect(wait).toBeGreaterThanOrEqual(125 * 2 ** i)
      }
      expect(await eventsOf(id)).not.toContain('lease.ended')
      story.far.calm()
      expect((await story.finish(id)).receipt?.outcome).toBe('confirmed')
    },
  )

  test('is given up on after 16 attempts: failed, seen, on record as that, and ended when time has ended it', async () => {
    const id = await ordered()
    story.far.mood.revoke = 'fails'
    for (let i = 0; i < 16; i++) expect(await revoke(story.parts, id)).toBe('later')
    expect(await story.lease(id)).toMatchObject({
      state: 'failed',
      attempts: 16,
      receipt: { outcome: 'failed', evidence: 'none' },
    })
    expect((await eventsOf(id)).slice(-1)).toEqual(['lease.revocation_failed'])
    // Nothing more is tried before its natural end, unless an operator says so.
    expect(await revoke(story.parts, id)).toBe('skipped')
    expect(await dueAt(id)).toBe((await story.lease(id)).expiresAt)
    await story.pass(id, 60_000)
    story.far.calm()
    expect(await revoke(story.parts, id)).toBe('ended')
    expect((await story.recordsOf(id)).slice(-2)).toMatchObject([
      { event: 'lease.revocation_failed' },
      { event: 'lease.ended', state: 'expired' },
    ])
  })

  test('and never could until the natural end and the grace are over: expired, and no more is claimed than that', async () => {
    const id = await ordered()
    story.far.mood.revoke = 'fails'
    await revoke(story.parts, id)
    await story.pass(id, 60_500)
    expect(await revoke(story.parts, id)).toBe('later')
    await story.pass(id, 60_500)
    expect(await revoke(story.parts, id)).toBe('ended')
    expect(await story.lease(id)).toMatchObject({
      state: 'expired',
      receipt: { outcome: 'expires_at', evidence: 'natural_end' },
    })
  })
})

describe('a provider that never will', () => {
  test('failed at once; an operator can have it tried again', async () => {
    const id = await ordered()
    story.far.mood.revoke = 'refuses'
    expect(await revoke(story.parts, id)).toBe('later')
    expect(await story.lease(id)).toMatchObject({ state: 'failed', receipt: { outcome: 'failed' } })
    story.far.calm()
    await order(id, { forced: true })
    expect((await story.finish(id)).state).toBe('revoked')
  })

  test('is not configured any more: failed, not forgotten', async () => {
    const { lease } = await story.bought()
    await order(lease.id)
    const providers = new Map([...story.parts.providers].filter(([name]) => name !== 'far'))
    expect(await revoke({ ...story.parts, providers }, lease.id)).toBe('later')
    expect((await story.lease(lease.id)).state).toBe('failed')
  })
})

describe('the audit is down', () => {
  test('the credential dies all the same; the record is owed and written later, marked as that', async () => {
    const id = await ordered()
    story.broker.auditSwitch.isDown = () => true
    expect(await revoke(story.parts, id)).toBe('ended')
    expect(story.far.alive()).not.toContain(id)
    expect(await story.parts.ledger.takeOwed(100)).toContain(id)
    await story.sweep()
    expect(await story.parts.ledger.takeOwed(100)).toContain(id)
    story.broker.auditSwitch.isDown = () => false
    await story.sweep()
    expect((await story.recordsOf(id)).at(-1)).toMatchObject({ event: 'lease.ended', state: 'revoked', owed: true })
    expect(await story.parts.ledger.takeOwed(100)).not.toContain(id)
  })

  test('a failure that was owed and has become something else meanwhile is no end', async () => {
    const id = await ordered()
    story.broker.auditSwitch.isDown = () => true
    story.far.mood.revoke = 'refuses'
    await revoke(story.parts, id)
    story.far.mood.revoke = 'fails'
    await order(id, { forced: true })
    await revoke(story.parts, id)
    expect((await story.lease(id)).state).toBe('revoking')
    story.broker.auditSwitch.isDown = () => false
    await story.sweep()
    expect(await eventsOf(id)).not.toContain('lease.ended')
    story.far.calm()
    await story.finish(id)
    expect((await eventsOf(id)).filter((event) => event === 'lease.ended')).toHaveLength(1)
  })
})

describe('two workers', () => {
  test('one revokes, the other leaves it alone, however long it takes', async () => {
    const id = await ordered()
    // It answers when we say so, long after whoever does not renew a claim has lost it.
    let answers = () => {}
    const answered = new Promise<void>((resolve) => {
      answers = resolve
    })
    story.broker.far.timeoutSeconds = 60
    story.far.during.revoke = () => answered
    const first = revoke(story.parts, id)
    const heldUntil = async () => Number(await story.at.raw.hget(`${story.at.tag}l:${id}`, 'until'))
    // Longer than the 3 s after which another may follow. Each time right behind a renewal: whoever stands still for as long as
    // that has really lost it.
    for (let held = await heldUntil(), i = 0; i < 5; i++) {
      held = await until(heldUntil, (seen) => seen > held, 30)
      expect(await revoke(story.parts, id)).toBe('skipped')
    }
    answers()
    expect(await first).toBe('ended')
    expect(story.far.count('revoke')).toBe(1)
    story.broker.far.timeoutSeconds = 5
  })

  test('a worker that died is followed after 3 s', async () => {
    const id = await ordered()
    expect((await story.parts.ledger.claim(id, 'dead worker')).outcome).toBe('ok')
    expect(await revoke(story.parts, id)).toBe('skipped')
    await story.pass(id, 3000)
    expect(await revoke(story.parts, id)).toBe('ended')
    expect((await story.lease(id)).attempts).toBe(2)
  })
})

test('a handle that cannot be opened is tried again, and is not taken for nothing', async () => {
  const id = await ordered()
  await story.at.raw.hset(`${story.at.tag}l:${id}`, 'handle', 'AAAAAAAA.AAAA')
  expect(await revoke(story.parts, id)).toBe('later')
  expect((await story.lease(id)).state).toBe('revoking')
  expect(story.far.alive()).toContain(id)
})
