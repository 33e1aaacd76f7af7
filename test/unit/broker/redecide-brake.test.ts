// What the brake's share is a share of.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { pendingChange } from '../../../src/broker/apply-change.js'
import { redecide } from '../../../src/broker/redecide.js'
import {
  addPolicy,
  change,
  config,
  load,
  outcomeOf,
  removePolicy,
  stands,
  startChangeStory,
} from '../../support/rule-changes.js'
import type { Story } from '../../support/story.js'

const noWrites = `@id("no-writes")
forbid (principal, action == Action::"repo.write", resource);`

let story: Story
beforeAll(async () => {
  story = await startChangeStory()
  await change(story, config('providers: {', 'policy_change: { brake_leases: 1, brake_percent: 50 }\nproviders: {'))
})
afterAll(() => story.close())

async function several(count: number, action: string): Promise<string[]> {
  const bought = await Promise.all(Array.from({ length: count }, () => story.bought({ action })))
  return bought.map(({ lease }) => lease.id)
}

test('leases that are being ended already make it no larger', async () => {
  // Nobody revokes them here: as after a large order, they are on their way.
  await story.parts.ledger.endLeases(await several(6, 'repo.read'), { reason: 'revoked', actor: 'staff:olga' })
  const [written] = [await several(2, 'repo.write'), await several(1, 'repo.read')]
  expect(await change(story, addPolicy(noWrites))).toMatchObject({ outcome: 'waiting', live: 3, doomed: 2 })
  expect(await story.records('rules.change_waits')).toMatchObject([{ live: 3, doomed: 2, most: 1 }])
  expect((await pendingChange(story.parts, null)).change).toMatchObject({ live: 3, would_end: 2 })
  for (const lease of written) expect(await outcomeOf(story, lease)).toEqual(stands)
  await story.parts.ledger.endLeases(written, { reason: 'released', actor: 'test' })
  await change(story, removePolicy(noWrites))
})

test('and whoever goes on where another was killed has the bound that it had', async () => {
  const written = await several(4, 'repo.write')
  await several(3, 'repo.read')
  const { hash } = await load(story, addPolicy(noWrites))
  // Of eight that stood four may end: one has, three are to.
  await story.parts.ledger.endLeases(written.slice(0, 1), { reason: 'policy_changed', actor: 'policy', rules: hash })
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', live: 7, ended: 3 })
})
