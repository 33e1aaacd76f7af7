// Approvals in a ledger that lost them, written again from what the audit holds.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { AuditRecord } from '../../../src/audit/record.js'
import { answer, aPerson, approved, ask, repeat, shipRules } from '../../support/approval-story.js'
import { inAnotherLedger } from '../../support/rebuilt-ledger.js'
import { refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

test('what is recorded is enough to rebuild them: a used one can never be used again', async () => {
  const used = await approved(story)
  await repeat(story.parts, used)
  const given = await approved(story)
  const caller = story.caller()
  const task = await story.task(caller)
  const pending = await ask(story, caller, task)
  await answer(story, pending.id, aPerson('olga'))
  const denied = await ask(story, caller, task, { resource: 'repo:acme/other' })
  await answer(story, denied.id, aPerson('olga'), 'deny')
  const over = await ask(story, caller, task, { resource: 'repo:acme/third' })
  const records = await story.records()
  const isMint = ({ event, approval }: AuditRecord) =>
    approval === used.id && (event === 'approval.used' || event === 'lease.reserved')
  // As instances would replay: one that knows the use alone, then one that knows the rest.
  const parts = [records.filter(isMint), records.filter((record) => !isMint(record)), records]
  await inAnotherLedger(parts, async ({ ledger }) => {
    for (const { id } of [used, given, pending, denied, over]) {
      const [was, is] = [await story.parts.ledger.findApproval(id), await ledger.findApproval(id)]
      expect(is).toEqual(was)
    }
    const again = await refusalOf(repeat({ ...story.parts, ledger }, used))
    expect(again.code).toBe('already_issued')
    expect(await ledger.listApprovals(task.account, null, 10)).toHaveLength(3)
  })
})
