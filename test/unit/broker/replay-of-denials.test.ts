// What was denied before the ledger was lost is remembered after it, for as long as it would have been: nobody is asked again at
// once, and rules over recent denials hold.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { dryRun } from '../../../src/broker/dry-run.js'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller, Parts } from '../../../src/broker/parts.js'
import { holderId } from '../../../src/ledger/keys.js'
import type { Task } from '../../../src/ledger/task.js'
import { answer, aPerson, ask, shipping, shipRules, wantedBy } from '../../support/approval-story.js'
import { openTestLedger, type TestLedger } from '../../support/ledger.js'
import { replayInto } from '../../support/rebuilt-ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
let redis: TestRedis
let other: TestLedger
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())
beforeEach(async () => {
  redis = await startTestRedis()
  other = await openTestLedger(redis)
})
afterEach(async () => {
  await other?.close()
  await redis?.stop()
})

const all = () => true
const after = (): Parts => ({ ...story.parts, ledger: other.ledger })
const buyAfter = (caller: Caller, task: Task, over: object = {}) =>
  exchange(after(), caller, task.id, shipping(over), null)

/** What was recorded, written into the ledger that knows nothing; in the parts that are told, each as an instance of its own. */
async function replayed(...parts: ((record: StoredRecord) => boolean)[]): Promise<void> {
  const records = (await story.records()) as unknown as StoredRecord[]
  const complete = parts.length === 1
  for (const isKnown of parts) await replayInto(redis, other.ledger, records.filter(isKnown), { complete })
  // The sign that somebody sweeps.
  await other.ledger.takeDue([], 1)
}

async function denied(caller: Caller, task: Task, over: object = {}): Promise<void> {
  const { id } = await ask(story, caller, task, over)
  await answer(story, id, aPerson('olga'), 'deny')
}

test('what people denied is not asked again before its time, and is flagged when it is', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  await denied(caller, task)
  const cooling = await refusalOf(story.buy(caller, task, shipping()))
  await replayed(all)
  const again = await refusalOf(buyAfter(caller, task))
  expect(again).toMatchObject({ code: 'quota', detail: cooling.detail })
  expect(again.retryAfterSeconds).toBeLessThanOrEqual(cooling.retryAfterSeconds ?? 0)
  const flagged = await wantedBy(buyAfter(caller, task, { context: { note: 'other' } }))
  expect(flagged.deniedBefore).toBe(true)
})

const isAnswer = ({ event }: StoredRecord) => event === 'approval.answered'
const isRest = (record: StoredRecord) => !isAnswer(record)
test.each([
  ['whoever took the answer', [isAnswer, isRest]],
  ['whoever asked', [isRest, isAnswer]],
] as const)(
  'it is remembered, too, where one instance asked and another took the answer (first replays %s)',
  async (_, parts) => {
    const caller = story.caller()
    const task = await story.task(caller)
    await denied(caller, task)
    await replayed(...parts)
    expect(await codeOf(buyAfter(caller, task))).toBe('quota')
    const flagged = await wantedBy(buyAfter(caller, task, { context: { note: 'other' } }))
    expect(flagged.deniedBefore).toBe(true)
  },
)

test('the third denial holds whatever is declared, however often the records are read', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  for (const note of ['one', 'two']) await denied(caller, task, { context: { note } })
  await replayed(all, all, all)
  // Two denials, read three times: a third question may still be asked.
  const third = await wantedBy(buyAfter(caller, task, { context: { note: 'three' } }))
  await answer({ ...story, parts: after() } as Story, third.id, aPerson('olga'), 'deny')
  expect(await codeOf(buyAfter(caller, task, { context: { note: 'four' } }))).toBe('quota')
})

test('recent denials count as before: once per request, and no plan among them', async () => {
  // Each is a request of its own.
  const caller = () => story.caller(`denied-${process.pid}`)
  const task = await story.task(caller())
  const forbidden = asking({ action: 'account.delete' })
  const twice = { purpose: 'x', credentials: [forbidden, forbidden] }
  for (let i = 0; i < 2; i++) expect(await codeOf(story.buy(caller(), task, forbidden))).toBe('denied')
  expect(await codeOf(openTask(story.parts, caller(), twice, null))).toBe('denied')
  expect(await codeOf(dryRun(story.parts, caller(), task.id, forbidden))).toBe('denied')
  const account = { id: holderId('account', caller().principal.account), kind: 'account', windowMs: 0 } as const
  const recent = async (ledger: Parts['ledger']) => (await ledger.lookHolders([account])).holders[0]?.recentDenials
  expect(await recent(story.parts.ledger)).toBe(3)
  await replayed(all, all)
  expect(await recent(other.ledger)).toBe(3)
})
