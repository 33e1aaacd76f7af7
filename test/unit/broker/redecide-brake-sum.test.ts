// Several changes in a row are held against the brake together: ten small mistakes do not pass one at a time.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { applyChange, pendingChange } from '../../../src/broker/apply-change.js'
import { redecide } from '../../../src/broker/redecide.js'
import {
  addPolicy,
  change,
  config,
  letChangesAge,
  outcomeOf,
  removePolicy,
  stands,
  startChangeStory,
} from '../../support/rule-changes.js'
import type { Story } from '../../support/story.js'

const brake = 'policy_change: { brake_leases: 2, brake_percent: 0 }\n'
let story: Story
beforeAll(async () => {
  story = await startChangeStory()
  await change(story, config('providers: {', `${brake}providers: {`))
})
afterAll(() => story.close())

let round = 0
beforeEach(async () => {
  await letChangesAge(story)
  round++
})

const resource = (name: string) => `repo:acme/${name}-${round}`
/** One lease on a repository of its own, and the change that ends it alone. */
const forbidding = (name: string) =>
  addPolicy(`@id("${name}-${round}")\nforbid (principal, action, resource == Repo::"${resource(name)}");`)
const several = async (...names: string[]) => {
  const bought = await Promise.all(names.map((name) => story.bought({ resource: resource(name) })))
  return bought.map(({ lease }) => lease.id)
}
const apply = () => applyChange(story.parts, story.operator(), { hash: story.parts.rules().hash, reason: 'meant so' })
test('changes that each stay under it wait once they are past it together', async () => {
  const [, , third] = await several('one', 'two', 'three')
  expect(await change(story, forbidding('one'))).toMatchObject({ outcome: 'done', ended: 1 })
  expect(await change(story, forbidding('two'))).toMatchObject({ outcome: 'done', ended: 1 })
  expect(await change(story, forbidding('three'))).toMatchObject({ outcome: 'waiting', doomed: 1 })
  expect(await outcomeOf(story, third ?? '')).toEqual(stands)
  expect((await story.records('rules.change_waits')).at(-1)).toMatchObject({ doomed: 1, most: 2, ended_lately: 2 })
  expect((await pendingChange(story.parts, null)).change).toMatchObject({ would_end: 1, ended_lately: 2 })
  await apply()
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 1 })
})

test('what ended by a word is not held against the next one', async () => {
  await several('a', 'b', 'c', 'd')
  const some = ['a', 'b', 'c'].map(
    (name) => `@id("${name}-${round}")\nforbid (principal, action, resource == Repo::"${resource(name)}");`,
  )
  expect(await change(story, addPolicy(some.join('\n')))).toMatchObject({ outcome: 'waiting', doomed: 3 })
  await apply()
  expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 3 })
  expect(await change(story, forbidding('d'))).toMatchObject({ outcome: 'done', ended: 1 })
})

test('what ended longer ago than ten minutes is forgotten', async () => {
  await several('x', 'y', 'z')
  expect(await change(story, forbidding('x'))).toMatchObject({ outcome: 'done', ended: 1 })
  expect(await change(story, forbidding('y'))).toMatchObject({ outcome: 'done', ended: 1 })
  await letChangesAge(story)
  expect(await change(story, forbidding('z'))).toMatchObject({ outcome: 'done', ended: 1 })
})

test('a change that ends nothing never waits, and puts nothing off', async () => {
  await several('k', 'l', 'm')
  expect(await change(story, forbidding('k'))).toMatchObject({ outcome: 'done', ended: 1 })
  const nothing = `@id("nothing-${round}")\nforbid (principal, action, resource == Repo::"repo:acme/none");`
  expect(await change(story, addPolicy(nothing))).toMatchObject({ outcome: 'done', doomed: 0 })
  expect(await change(story, removePolicy(nothing))).toMatchObject({ outcome: 'done', doomed: 0 })
  expect(await change(story, forbidding('l'))).toMatchObject({ outcome: 'done', ended: 1 })
  expect(await change(story, forbidding('m'))).toMatchObject({ outcome: 'waiting', doomed: 1 })
})
