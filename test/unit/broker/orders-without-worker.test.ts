// A large order is left to a worker where one is there, and to nobody where none is.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import { manyLeases } from '../../support/ledger.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})

test('an order over more than a thousand, where nobody has swept for seconds, is carried out by the broker that was asked', async () => {
  const leases = await manyLeases(story.at, 'far', 1010)
  const now = await story.parts.ledger.now()
  await story.at.raw.set(`${story.at.tag}swept`, now - 600_000)
  const target = { provider: 'far' }
  const { id, matched } = await forceRevoke(story.parts, story.operator(), { target, reason: 'r', dry_run: false })
  expect(matched).toBe(1010)
  const states = (await story.parts.ledger.findLeases(leases)).map(({ state }) => state)
  expect(new Set(states)).toEqual(new Set(['revoking']))
  // Nothing of it is left to be looked for.
  expect(await story.at.raw.zscore(`${story.at.tag}due:revocations`, id ?? '')).toBeNull()
})
