// A dry run that names an approval: what the request would be answered, with the approval as good afterwards as before.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { dryRun } from '../../../src/broker/dry-run.js'
import { approved, ask, shipping, shipRules } from '../../support/approval-story.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

const plan = ({ caller, task, id }: Awaited<ReturnType<typeof approved>>, over = {}) =>
  dryRun(story.parts, caller, task.id, shipping({ approval_id: id, ...over }))

test('given, it is a permit, and is not used up', async () => {
  const given = await approved(story)
  expect(await plan(given)).toMatchObject({ decision: { effect: 'permit', policies: ['ship'] }, ttlSeconds: 60 })
  expect((await story.parts.ledger.findApproval(given.id))?.state).toBe('approved')
  const { decision } = await story.buy(given.caller, given.task, shipping({ approval_id: given.id }))
  expect(decision.effect).toBe('permit')
  expect(await codeOf(plan(given))).toBe('already_issued')
})

test('of another request, it is told what differs', async () => {
  const given = await approved(story)
  const refused = await refusalOf(plan(given, { ttl_seconds: 61 }))
  expect(refused).toMatchObject({ code: 'approval_required', members: { differs: ['ttl_seconds'] } })
})

test('not answered yet, people are still waited for', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const { id } = await ask(story, caller, task)
  const { decision } = await dryRun(story.parts, caller, task.id, shipping({ approval_id: id }))
  expect(decision.effect).toBe('approval_required')
})
