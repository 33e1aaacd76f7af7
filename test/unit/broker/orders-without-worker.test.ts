// An order is carried out by the broker that was asked, and where it is large left to a worker only where one is there.
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

test('one over a single lease says on record who ended it why, and reaches nothing that has ended', async () => {
  const { lease } = await story.bought()
  const target = { lease: lease.id }
  const request = { target, reason: 'leaked', dry_run: false }
  expect(await forceRevoke(story.parts, story.operator(), request)).toMatchObject({ matched: 1 })
  const endings = (await story.recordsOf(lease.id)).filter(({ event }) => event === 'lease.ending')
  expect(endings).toMatchObject([{ reason: 'revoked', actor: 'staff:olga', task: lease.record.task }])
  await story.finish(lease.id)
  expect(await forceRevoke(story.parts, story.operator(), { ...request, dry_run: true })).toMatchObject({ matched: 0 })
})
