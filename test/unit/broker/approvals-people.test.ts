// Whose request an approval is, where several people act through one workload; and how often people can be asked.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { approvalView } from '../../../src/broker/approval-view.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { answer, aPerson, ask, shipping, shipRules } from '../../support/approval-story.js'
import { anAgent, handOver, openChild, toDelegate } from '../../support/chain.js'
import { refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

test('who agreed to a request of somebody else cannot use it through the same workload', async () => {
  const ana = story.caller('shared', { person: 'ana@acme.example' })
  const olga = story.caller('shared', { person: 'olga@acme.example' })
  const task = await story.task(ana)
  const asked = await ask(story, ana, task)
  await answer(story, asked.id, aPerson('olga'))
  await answer(story, asked.id, aPerson('rosa'))
  const mints = story.far.count('create')
  const refused = await refusalOf(story.buy(olga, task, shipping({ approval_id: asked.id })))
  expect(refused).toMatchObject({ code: 'approval_required', members: { differs: ['persons'] } })
  const [record] = (await story.records('decision.approval_required')).slice(-1)
  expect(record).toMatchObject({ approval: asked.id, differs: ['persons'] })
  expect(story.far.count('create')).toBe(mints)
  expect(await story.parts.ledger.leasesOfTask(task.id)).toEqual([])

  const own = await ask(story, olga, task)
  expect(own).toMatchObject({ state: 'pending', record: { persons: ['ana@acme.example', 'olga@acme.example'] } })
  expect(own.id).not.toBe(asked.id)
  expect(await refusalOf(answer(story, own.id, aPerson('olga')))).toMatchObject({ code: 'not_permitted' })
  await story.buy(ana, task, shipping({ approval_id: asked.id }))
  expect(story.far.count('create')).toBe(mints + 1)
})

test('who handed a task on may not approve what is asked in it, whoever opened the one above', async () => {
  const ana = story.caller('shared-too', { person: 'ana@acme.example' })
  const olga = story.caller('shared-too', { person: 'olga@acme.example' })
  const helper = story.caller()
  const pair = { action: 'ship.run', resource: 'repo:acme/web' }
  const { delegation } = await handOver(story, olga, await story.task(ana), toDelegate(helper), [pair])
  const { task } = await openChild(story, helper, delegation.id)
  const { id, record } = await ask(story, helper, task)
  expect(record.persons).toEqual(['ana@acme.example', 'olga@acme.example'])
  expect(await refusalOf(answer(story, id, aPerson('olga')))).toMatchObject({ code: 'not_permitted' })
  // As recovery writes them again.
  const projection = new AuditProjection()
  for (const one of await story.records()) projection.apply(one as unknown as StoredRecord)
  expect([...projection.tasks()].find((one) => one.id === task.id)?.record).toMatchObject({
    delegator: 'olga@acme.example',
  })
  const rebuilt = [...projection.delegations()].find((one) => one.id === delegation.id)
  expect(rebuilt?.record).toMatchObject({ person: 'olga@acme.example' })
})

test('a human is the same with capitals: neither two votes nor an answer to oneself', async () => {
  const caller = story.caller(undefined, { person: 'Pete@Acme.example' })
  const asked = await ask(story, caller, await story.task(caller))
  await answer(story, asked.id, aPerson('olga'))
  const capital = { issuer: 'second', id: 'second:olga', person: 'OLGA@acme.example' }
  expect(await answer(story, asked.id, aPerson('olga', capital))).toMatchObject({ state: 'pending' })
  expect(await refusalOf(answer(story, asked.id, aPerson('pete')))).toMatchObject({ code: 'not_permitted' })
})

test('approvers are told of the sub-agent that asks, and below whom', async () => {
  const boss = story.caller()
  const parent = await story.task(boss)
  const { agent } = await anAgent(story, boss, parent, [{ action: 'ship.run', resource: 'repo:acme/web' }])
  const { task } = await openChild(story, agent, undefined)
  const approval = await ask(story, agent, task)
  expect(approvalView(approval, story.parts.issuer, approval.requestedAt).actors).toEqual([
    { task: task.id, principal: boss.principal.id, agent: 'reviewer' },
    { task: parent.id, principal: boss.principal.id },
  ])
})

test('what was denied three times is not asked again at once with another declared value', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const noted = (note: string, over = {}) => shipping({ context: { note }, ...over })
  for (const note of ['a', 'b', 'c']) {
    const { id } = await ask(story, caller, task, noted(note))
    await answer(story, id, aPerson('olga'), 'deny')
  }
  const refused = await refusalOf(story.buy(caller, task, noted('d')))
  expect(refused).toMatchObject({ code: 'quota', detail: expect.stringMatching(/approval_cooldown/) })
  expect(refused.retryAfterSeconds).toBeGreaterThan(250)
  expect((await story.records('decision.approval_required')).at(-1)).toMatchObject({ refused: 'denied' })
  // Another resource was not denied, nor was anybody else.
  await ask(story, caller, task, noted('d', { resource: 'repo:acme/other' }))
  const other = story.caller()
  await ask(story, other, await story.task(other), noted('d'))
})
