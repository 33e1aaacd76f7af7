// Tasks that are opened with credentials that people have to agree to first, and what nobody is asked for.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { dryRun } from '../../../src/broker/dry-run.js'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller, Parts } from '../../../src/broker/parts.js'
import type { ApprovalNews } from '../../../src/ledger/approval.js'
import { answer, aPerson, shipping, shipRules, wantedBy } from '../../support/approval-story.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

test('a task with several credentials waits for all that want it, and nothing is minted', async () => {
  const caller = story.caller()
  const mints = story.far.count('create')
  const credentials = [shipping(), { action: 'repo.read', resource: 'repo:acme/web', context: {} }]
  const opened = await openTask(story.parts, caller, { purpose: 'p', credentials }, null)
  expect(opened).toMatchObject({ task: { state: 'open' }, credentials: [], approvals: [{ state: 'pending' }] })
  expect(story.far.count('create')).toBe(mints)
  expect((await wantedBy(story.buy(caller, opened.task, shipping()))).id).toBe(opened.approvals[0]?.id)
  // An approval is for one task: it buys nothing in a new one.
  const foreign = { purpose: 'p', credentials: [shipping({ approval_id: opened.approvals[0]?.id ?? '' })] }
  expect(await codeOf(openTask(story.parts, caller, foreign, null))).toBe('not_found')
})

test('an opening repeated with its key is the same task for whoever opened it, and for nobody else', async () => {
  const caller = story.caller()
  const request = { purpose: 'p', credentials: [shipping({ action: 'ship.task' })] }
  const idempotency = { key: `${caller.principal.account}-open`, bodySha256: 'b' }
  const open = (who: Caller) => openTask(story.parts, who, request, idempotency)
  const { task, approvals } = await open(caller)
  const again = await open(caller)
  expect([again.task.id, again.approvals]).toEqual([task.id, approvals])
  // Another job of the same run: the same account and instance, another subject.
  const { account, instance } = caller.principal
  const other = story.caller(undefined, { account, instance })
  const refused = await refusalOf(open(other))
  expect(refused).toMatchObject({ code: 'already_issued' })
  expect((await story.records('task.opened')).filter(({ task: of }) => of === task.id)).toHaveLength(2)
  // The recipe names the task: what is approved after the repeat is what is bought.
  const [{ id } = { id: '' }] = again.approvals
  await answer(story, id, aPerson('olga'))
  const { lease } = await story.buy(caller, task, shipping({ action: 'ship.task', approval_id: id }))
  expect(lease.record.task).toBe(task.id)
})

test('a dry run asks nobody', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const { decision, ttlSeconds } = await dryRun(story.parts, caller, task.id, shipping())
  expect({ effect: decision.effect, ttlSeconds }).toEqual({ effect: 'approval_required', ttlSeconds: 60 })
  expect(await story.parts.ledger.listApprovals(task.account, null, 10)).toEqual([])
})

test('the purpose is shown without what deceives, and whoever wants to know is told', async () => {
  const told: [ApprovalNews, string][] = []
  const parts: Parts = { ...story.parts, announce: (news, { id }) => told.push([news, id]) }
  const caller = story.caller()
  const purpose = 'harmless\u202e\u2066 evil\u200b\u0007\u2028\u{e0041} text'
  const { task } = await openTask(story.parts, caller, { purpose }, null)
  const { id, record } = await wantedBy(exchange(parts, caller, task.id, shipping(), null))
  expect(record.purpose).toBe('harmless evil text')
  expect(told).toEqual([['requested', id]])
})
