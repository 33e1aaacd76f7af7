// What an answer does beyond being counted: a mind that is changed, who is told, what is written, what policies are told.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Parts } from '../../../src/broker/parts.js'
import type { ApprovalNews } from '../../../src/ledger/approval.js'
import { answer, aPerson, ask, shipping, shipRules, wantedBy } from '../../support/approval-story.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

const recordsOf = async (id: string) => (await story.records()).filter((record) => record.approval === id)

async function asked() {
  const caller = story.caller()
  const task = await story.task(caller)
  return { caller, task, id: (await ask(story, caller, task)).id }
}

test('whoever agreed may deny after all, and that ends it', async () => {
  const { caller, task, id } = await asked()
  await answer(story, id, aPerson('olga'))
  expect((await answer(story, id, aPerson('olga'), 'deny')).state).toBe('denied')
  const mints = story.far.count('create')
  expect(await codeOf(story.buy(caller, task, shipping({ approval_id: id })))).toBe('approval_required')
  expect(story.far.count('create')).toBe(mints)
})

test('a late answer is written down as a refusal alone, and a denial keeps people from being asked for minutes', async () => {
  const { caller, task, id } = await asked()
  await answer(story, id, aPerson('rosa'), 'deny')
  expect(await codeOf(answer(story, id, aPerson('pete')))).toBe('invalid_request')
  const written = (await recordsOf(id)).map(({ event, actor }) => [event, actor])
  expect(written.slice(1)).toEqual([
    ['approval.answered', 'staff:rosa'],
    ['operator.refused', 'staff:pete'],
  ])
  const cooling = await refusalOf(story.buy(caller, task, shipping()))
  expect(cooling.code).toBe('quota')
  // Five minutes unless configured.
  expect(cooling.retryAfterSeconds).toBeGreaterThan(120)
  expect(cooling.retryAfterSeconds).toBeLessThanOrEqual(300)
})

test('whoever wants to know is told of each answer, with what it made of the approval', async () => {
  const { id } = await asked()
  const told: [ApprovalNews, string, string][] = []
  const parts: Parts = { ...story.parts, announce: (news, one) => told.push([news, one.id, one.state]) }
  await answer({ parts }, id, aPerson('olga'))
  await answer({ parts }, id, aPerson('rosa'))
  expect(told).toEqual([
    ['answered', id, 'pending'],
    ['answered', id, 'approved'],
  ])
})

test('policies are told of an approval once it is given, not while one has agreed and another is wanted', async () => {
  const { caller, task, id } = await asked()
  await answer(story, id, aPerson('olga'))
  expect((await wantedBy(story.buy(caller, task, shipping({ approval_id: id })))).id).toBe(id)
  const last = (await recordsOf(id)).at(-1)
  expect(last).toMatchObject({ event: 'decision.approval_required', decision: { input: { action: 'ship.run' } } })
  expect(last).not.toHaveProperty('decision.input.approval')
})
