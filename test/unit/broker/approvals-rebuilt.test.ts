// Approvals in a ledger that lost them, written again from what the audit holds.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { replay } from '../../../src/broker/replay.js'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { createRestoration } from '../../../src/ledger/restoration.js'
import { answer, aPerson, approved, ask, repeat, shipRules } from '../../support/approval-story.js'
import { openTestLedger } from '../../support/ledger.js'
import { startTestRedis } from '../../support/redis.js'
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
  const redis = await startTestRedis()
  const other = await openTestLedger(redis)
  const connection = connectFailFast(redis, () => undefined)
  try {
    await untilReady(connection, 5000)
    const restoration = createRestoration(connection, redis.prefix)
    const records = (await story.records()) as unknown as StoredRecord[]
    const isMint = ({ event, approval }: StoredRecord) =>
      approval === used.id && (event === 'approval.used' || event === 'lease.reserved')
    // As instances would replay: one that knows the use alone, then one that knows the rest.
    for (const part of [records.filter(isMint), records.filter((record) => !isMint(record)), records]) {
      const projection = new AuditProjection()
      for (const record of part) projection.apply(record)
      await replay({ ledger: other.ledger, restoration }, projection, { memoryMs: 86_400_000, complete: true })
    }
    for (const { id } of [used, given, pending, denied, over]) {
      const [was, is] = [await story.parts.ledger.findApproval(id), await other.ledger.findApproval(id)]
      expect(is).toEqual(was)
    }
    const again = await refusalOf(repeat({ ...story.parts, ledger: other.ledger }, used))
    expect(again.code).toBe('already_issued')
    expect(await other.ledger.listApprovals(task.account, null, 10)).toHaveLength(3)
  } finally {
    connection.disconnect()
    await other.close()
    await redis.stop()
  }
})
