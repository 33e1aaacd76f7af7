// People agree in the end to what they are asked again and again: how often an account may have them asked is bounded, whatever
// it does with its tasks, and a denial is not forgotten with Redis.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { exchange } from '../../../src/broker/exchange.js'
import { answer, aPerson, ask, shipping, shipRules, wantedBy } from '../../support/approval-story.js'
import { inAnotherLedger } from '../../support/rebuilt-ledger.js'
import { refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  const limits = '{ account: { requests_per_minute: 100000, pending_approvals: 1 } }'
  story = await startStory({ load: shipRules(), limits })
})
afterAll(async () => {
  await story.close()
})

test('who asks and gives up in a loop has people asked ten times as often in an hour as may wait at once, no more', async () => {
  const caller = story.caller()
  const askAndGiveUp = async () => {
    const task = await story.task(caller)
    const { id } = await ask(story, caller, task)
    await story.endTask(task, 'cancelled')
    return id
  }
  // What is answered is no flood, however much of it there is.
  for (let i = 0; i < 12; i++) {
    const task = await story.task(caller)
    const { id } = await ask(story, caller, task)
    await answer(story, id, aPerson('olga'))
    await answer(story, id, aPerson('rosa'))
    await story.endTask(task)
  }
  const asked: string[] = []
  for (let i = 0; i < 10; i++) asked.push(await askAndGiveUp())
  const task = await story.task(caller)
  const refusal = await refusalOf(story.buy(caller, task, shipping()))
  expect(refusal).toMatchObject({ code: 'quota' })
  expect(refusal.retryAfterSeconds).toBeGreaterThan(3000)
  expect(refusal.retryAfterSeconds).toBeLessThanOrEqual(3600)
  // Nobody was told of it, and others are asked for as before.
  const requested = (await story.records('approval.requested')).filter((one) => one.principal === caller.principal.id)
  expect(requested).toHaveLength(12 + asked.length)
  const other = story.caller()
  expect((await ask(story, other, await story.task(other))).state).toBe('pending')
})

test('what we could not write down, and so asked nobody, counts for nothing', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  story.broker.auditSwitch.isDown = ({ event }) => event === 'approval.requested'
  for (let i = 0; i < 12; i++)
    expect((await refusalOf(story.buy(caller, task, shipping()))).code).toBe('audit_unavailable')
  story.broker.auditSwitch.isDown = () => false
  expect((await ask(story, caller, task)).state).toBe('pending')
})

test('a denial holds, and is shown, in a ledger that was rebuilt', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const { id } = await ask(story, caller, task)
  await answer(story, id, aPerson('olga'), 'deny')
  expect((await refusalOf(story.buy(caller, task, shipping()))).code).toBe('quota')
  const records = await story.records()
  // Twice, as it may be: one denial is counted once.
  await inAnotherLedger([records, records], async (other) => {
    const buy = (over: Parameters<typeof shipping>[0] = {}) =>
      exchange({ ...story.parts, ledger: other.ledger }, caller, task.id, shipping(over), null)
    expect(await refusalOf(buy())).toMatchObject({ code: 'quota' })
    const [denials] = await other.raw.keys(`${other.tag}an:*`)
    expect(await other.raw.hget(denials ?? '', 'n')).toBe('1')
    // Another request of the same kind is asked, and says what was before.
    expect((await wantedBy(buy({ context: { note: 'again' } }))).deniedBefore).toBe(true)
  })
})
