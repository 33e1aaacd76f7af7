// A change that was a mistake and is corrected while it ends leases: the rest is left alone.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Parts } from '../../../src/broker/parts.js'
import { redecide } from '../../../src/broker/redecide.js'
import { addPolicy, change, config, load, removePolicy, startChangeStory } from '../../support/rule-changes.js'
import type { Story } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startChangeStory()
})
afterAll(async () => {
  await story.close()
})

const noReads = `@id("no-reads")
forbid (principal, action == Action::"repo.read", resource);`

test('what was not told to end by then stands', async () => {
  await change(story, config('providers: {', 'policy_change: { brake_leases: 1000 }\nproviders: {'))
  // More than are told to end at once.
  const leases: string[] = []
  for (let i = 0; i < 53; i++) leases.push((await story.bought()).lease.id)
  await load(story, addPolicy(noReads))
  let corrected = false
  const { ledger } = story.parts
  const parts: Parts = {
    ...story.parts,
    ledger: {
      ...ledger,
      async endLeases(...asked) {
        const told = await ledger.endLeases(...asked)
        if (!corrected) await load(story, removePolicy(noReads))
        corrected = true
        return told
      },
    },
  }
  expect(await redecide(parts)).toMatchObject({ outcome: 'due', doomed: 53, ended: 50 })
  const standing = (await ledger.findLeases(leases)).filter(({ state }) => state === 'active')
  expect(standing).toHaveLength(3)
  // By the corrected rules nothing more ends, and no record says that the mistaken ones were carried through.
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', doomed: 0 })
  expect((await story.records('rules.redecided')).filter((one) => one.doomed === 53)).toEqual([])
})
