// Leases that came back after the ledger was lost: rules which were carried through while they were missing must reach them, and
// rules that they stand by already must end nothing anew.
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { redecide } from '../../../src/broker/redecide.js'
import { replayInto } from '../../support/rebuilt-ledger.js'
import {
  addPolicy,
  change,
  config,
  ended,
  load,
  outcomeOf,
  removePolicy,
  stands,
  startChangeStory,
} from '../../support/rule-changes.js'
import type { Story } from '../../support/story.js'

let story: Story
beforeEach(async () => {
  story = await startChangeStory()
})
afterEach(async () => {
  await story?.close()
})

const noReads = `@id("no-reads")
forbid (principal, action == Action::"repo.read", resource);`

/** All that the ledger knows, as FLUSHALL would take it. */
async function loseLedger(): Promise<void> {
  const { raw, tag } = story.at
  const keys = await raw.keys(`${tag}*`)
  expect(keys.length).toBeGreaterThan(5)
  await raw.del(...keys)
}

const comeBack = async () => await replayInto(story.redis, story.parts.ledger, await story.records())
const sayRules = async () => await story.parts.ledger.adoptRules('one', story.parts.rules().hash)
const stateOf = async () => (await story.parts.ledger.findRulesChange())?.state

test('rules that changed and were carried through over the empty ledger end what came back', async () => {
  const { lease } = await story.bought()
  await loseLedger()
  expect(await change(story, addPolicy(noReads))).toMatchObject({ outcome: 'done', live: 0 })
  await comeBack()
  expect(await stateOf()).toBe('due')
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', live: 1, doomed: 1, ended: 1 })
  expect(await outcomeOf(story, lease.id)).toEqual(ended('forbidden', ['no-reads']))
})

test('also where no program had said its rules yet', async () => {
  const { lease } = await story.bought()
  await loseLedger()
  await comeBack()
  await load(story, addPolicy(noReads))
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 1 })
  expect(await outcomeOf(story, lease.id)).toEqual(ended('forbidden', ['no-reads']))
})

test('a change that waited for an operator waits again', async () => {
  await change(story, config('providers: {', 'policy_change: { brake_leases: 1, brake_percent: 5 }\nproviders: {'))
  const leases = [(await story.bought()).lease.id, (await story.bought()).lease.id]
  expect(await change(story, addPolicy(noReads))).toMatchObject({ outcome: 'waiting', doomed: 2 })
  await loseLedger()
  await sayRules()
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', live: 0 })
  await comeBack()
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'waiting', doomed: 2 })
  for (const lease of leases) expect(await outcomeOf(story, lease)).toEqual(stands)
})

test('a judging that is under way while leases come back does not pass for one of all', async () => {
  await story.bought()
  await loseLedger()
  const { hash } = await load(story, addPolicy(noReads))
  const turn = await story.parts.ledger.beginRedecision(hash)
  await comeBack()
  if (turn === null) throw new Error('the turn is free')
  expect(await story.parts.ledger.endRedecision(turn, 'done', { live: 0, doomed: 0 }, '{}')).toBe(false)
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 1 })
})

test('the rules that they were issued by find nothing to do', async () => {
  const { lease } = await story.bought()
  await loseLedger()
  await sayRules()
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', live: 0 })
  await comeBack()
  expect(await stateOf()).toBe('done')
  expect(await outcomeOf(story, lease.id)).toEqual(stands)
})

test('nor do those that they were judged by since', async () => {
  const { lease } = await story.bought()
  const harmless = `@id("harmless")
forbid (principal, action == Action::"deploy.run", resource) when { context.task.depth > 90 };`
  expect(await change(story, addPolicy(harmless))).toMatchObject({ outcome: 'done', live: 1, doomed: 0 })
  await loseLedger()
  await sayRules()
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', live: 0 })
  await comeBack()
  expect(await stateOf()).toBe('done')
  // The rules of before are others again: back to them, it is judged.
  await load(story, removePolicy(harmless))
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', live: 1, doomed: 0 })
  expect(await outcomeOf(story, lease.id)).toEqual(stands)
})
