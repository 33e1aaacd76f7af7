// Around a credential's natural end, and where only what was noted could say whether there is one: no receipt says more than was seen.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { revoke } from '../../../src/broker/revoke.js'
import type { Handle, Mark } from '../../../src/providers/provider.js'
import { aReservation } from '../../support/ledger.js'
import { type Story, startStory } from '../../support/story.js'
import { TestProvider } from '../../support/test-provider.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => story.far.calm())

async function ordered(action = 'repo.read'): Promise<string> {
  const { lease } = await story.bought({ action, ttl_seconds: 60 })
  await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller' })
  return lease.id
}

/** Reserved by a broker that died before it minted, and due by now. */
async function neverMinted(provider: string, revocation: 'immediate' | 'natural_expiry'): Promise<string> {
  const task = await story.task(story.caller())
  const record = { provider, revocation, mark: { name: 'never minted' } }
  const reservation = await aReservation(story.parts.ledger, task, record)
  await story.parts.ledger.reserve(reservation)
  await story.pass(reservation.lease, 10_100)
  return reservation.lease
}

const pending = { state: 'revoking', receipt: { outcome: 'pending', evidence: 'none' } }

test('not seen dead just past its natural end: it is asked for until the grace is over, and then said to have ended by time', async () => {
  const id = await ordered()
  story.far.mood.probe = 'fails'
  expect(await revoke(story.parts, id)).toBe('later')
  await story.pass(id, 61_000)
  expect(await revoke(story.parts, id)).toBe('later')
  expect(await story.lease(id)).toMatchObject(pending)
  await story.pass(id, 60_000)
  expect(await revoke(story.parts, id)).toBe('ended')
  expect(await story.lease(id)).toMatchObject({
    state: 'expired',
    receipt: { outcome: 'expires_at', evidence: 'natural_end' },
  })
})

test('one that can only expire and was never minted is over at once: there is no end to wait for', async () => {
  const id = await neverMinted('fixed', 'natural_expiry')
  expect(await revoke(story.parts, id)).toBe('ended')
  expect(await story.lease(id)).toMatchObject({ state: 'void' })
})

test('what cannot be ended at all, and is dead by its natural end, expired', async () => {
  const id = await ordered('fixed.read')
  story.far.mood.revoke = 'refuses'
  await story.pass(id, 61_000)
  story.far.deleteAll()
  expect(await revoke(story.parts, id)).toBe('ended')
  expect(await story.lease(id)).toMatchObject({ state: 'expired', receipt: { evidence: 'probe_dead' } })
})

const dueAt = async (id: string, provider = 'far') =>
  Number(await story.at.raw.zscore(`${story.at.tag}due:${provider}`, id))

test('one that can only expire, and is not dead at its end, is looked at again after a pause', async () => {
  const id = await ordered('fixed.read')
  story.far.mood.probe = 'fails'
  await story.pass(id, 61_000)
  expect(await revoke(story.parts, id)).toBe('later')
  const { receipt } = await story.lease(id)
  expect((await dueAt(id, 'fixed')) - (receipt?.at ?? 0)).toBe(250)
})

test.each([
  ['revoking', 'fails'],
  ['failed', 'refuses'],
] as const)(
  '%s, past its natural end: the last look is when the grace is over, and none stands in for it',
  async (state, mood) => {
    const id = await ordered()
    // The next wait would be half a minute at least; what is left of the grace is less.
    await story.at.raw.hset(`${story.at.tag}l:${id}`, 'tries', 12)
    await story.pass(id, 60_000 + 31_000)
    story.far.mood.revoke = mood
    expect(await revoke(story.parts, id)).toBe('later')
    const lease = await story.lease(id)
    expect(lease.state).toBe(state)
    expect(await dueAt(id)).toBe(lease.expiresAt + 60_000)
  },
)

test('a failed one that is handed back at its natural end is failed still, and was not tried', async () => {
  const id = await ordered()
  story.far.mood.revoke = 'refuses'
  const failed = await story.attempt(id)
  expect(failed.state).toBe('failed')
  await story.pass(id, 61_000)
  const stop = new AbortController()
  // The far side is asked and does not answer, and then this worker is to end.
  story.far.mood.revoke = 'hangs'
  story.far.during.revoke = async () => stop.abort()
  expect(await revoke(story.parts, id, stop.signal)).toBe('later')
  const { state, receipt, attempts } = await story.lease(id)
  expect({ state, receipt, attempts }).toEqual({ state: 'failed', receipt: failed.receipt, attempts: failed.attempts })
  const failures = (await story.recordsOf(id)).filter(({ event }) => event === 'lease.revocation_failed')
  expect(failures).toHaveLength(1)
})

/** Knows what it made by the notes that were taken meanwhile: an empty search proves something only while those are there. */
class NotingProvider extends TestProvider {
  override async findByMark(_mark: Mark, known?: { notesLost: boolean }): Promise<Handle | 'nothing' | 'unknown'> {
    return known?.notesLost ? 'unknown' : 'nothing'
  }
}

test('what was noted of it is lost with the ledger: nothing found is no proof that it was never minted', async () => {
  const noting = new NotingProvider({ name: 'far', url: story.farUrl })
  const parts = { ...story.parts, providers: new Map([['far', noting]]) }
  const lost = await neverMinted('far', 'immediate')
  await story.at.raw.hset(`${story.at.tag}l:${lost}`, 'lost', 1)
  expect(await revoke(parts, lost)).toBe('later')
  expect(await story.lease(lost)).toMatchObject(pending)
  const known = await neverMinted('far', 'immediate')
  expect(await revoke(parts, known)).toBe('ended')
  expect((await story.lease(known)).state).toBe('void')
})
