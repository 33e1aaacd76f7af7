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
