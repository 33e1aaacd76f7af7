// Delegations: who may be handed what, who may use it, and how often; a sub-agent's token.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import type { AuditRecord } from '../../../src/audit/record.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { authenticateDelegation } from '../../../src/broker/delegation-token.js'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller } from '../../../src/broker/parts.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { replay } from '../../../src/broker/replay.js'
import { setLock } from '../../../src/broker/set-lock.js'
import { isOwn } from '../../../src/broker/task-access.js'
import { createTaskToken } from '../../../src/broker/task-token.js'
import type { Principal } from '../../../src/identity/principal.js'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { createRestoration } from '../../../src/ledger/restoration.js'
import { anAgent, aPair, handOver, openChild, read, toDelegate, write } from '../../support/chain.js'
import { openTestLedger, type TestLedger } from '../../support/ledger.js'
import { startTestRedis } from '../../support/redis.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ limits: '{ account: { requests_per_minute: 100000 }, task: { depth: 2 } }' })
})
afterAll(async () => {
  await story.close()
})

const refusedRecords = async (delegation: string) =>
  (await story.records('request.refused')).filter((one) => one.delegation === delegation)

describe('a delegation', () => {
  test('opens one task; the same again, also at once, opens none', async () => {
    const [boss, helper] = [story.caller(), story.caller()]
    const { delegation } = await handOver(story, boss, await story.task(boss), toDelegate(helper), [read])
    const many = await Promise.allSettled(Array.from({ length: 8 }, () => openChild(story, helper, delegation.id)))
    const opened = many.flatMap((one) => (one.status === 'fulfilled' ? [one.value.task.id] : []))
    expect(opened).toHaveLength(1)
    const again = await refusalOf(openChild(story, helper, delegation.id))
    expect(again).toMatchObject({ code: 'already_issued', members: { task: { id: opened[0] } } })
  })

  test('of another delegate, or of another run of the same, is a 404 on record, and stays good', async () => {
    const [boss, helper] = [story.caller(), story.caller(undefined, { instance: 'run-1' })]
    const parent = await story.task(boss)
    const named = { delegate: { issuer: 'ci', subject: helper.principal.subject, instance: 'run-1' } }
    const { delegation } = await handOver(story, boss, parent, named, [read])
    const like = (over: Partial<Principal>) => ({ ...helper, principal: { ...helper.principal, ...over } })
    const otherRun = like({ instance: 'run-2' })
    const elsewhere = like({ id: `prod:${helper.principal.subject}`, issuer: 'prod' })
    const neighbour = story.caller(undefined, { instance: 'run-1' })
    for (const stranger of [story.caller(), otherRun, elsewhere, neighbour, boss]) {
      expect(await codeOf(openChild(story, stranger, delegation.id))).toBe('not_found')
    }
    const records = await refusedRecords(delegation.id)
    expect(records).toHaveLength(5)
    for (const record of records) expect(record).toMatchObject({ reason: 'for another delegate', task: parent.id })
    expect((await openChild(story, helper, delegation.id)).task.parent).toBe(parent.id)
  })

  test('of a delegate in any run is still nobody else', async () => {
    const [boss, helper] = [story.caller(), story.caller(undefined, { instance: 'run-7' })]
    const parent = await story.task(boss)
    const named = { delegate: { issuer: 'ci', subject: helper.principal.subject } }
    const { delegation } = await handOver(story, boss, parent, named, [read])
    expect(await codeOf(openChild(story, story.caller(), delegation.id))).toBe('not_found')
    expect((await openChild(story, helper, delegation.id)).task.parent).toBe(parent.id)
  })

  test('that never was, or is over, is a 404', async () => {
    const [boss, helper] = [story.caller(), story.caller()]
    const never = `dlg_${'0'.repeat(26)}`
    expect(await codeOf(openChild(story, helper, never))).toBe('not_found')
    expect(await refusedRecords(never)).toMatchObject([{ reason: 'no such delegation' }])
    const { delegation } = await handOver(story, boss, await story.task(boss), toDelegate(helper), [read], 1)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect(await codeOf(openChild(story, helper, delegation.id))).toBe('not_found')
  })

  test('is no longer than its task, and nothing is opened below an ended one', async () => {
    const [boss, helper] = [story.caller(), story.caller()]
    const parent = await story.task(boss, 30)
    const { delegation } = await handOver(story, boss, parent, toDelegate(helper), [read], 900)
    expect(delegation.expiresAt).toBeLessThanOrEqual(parent.expiresAt)
    await story.endTask(parent)
    expect(await codeOf(openChild(story, helper, delegation.id))).toBe('task_closed')
    expect(await codeOf(handOver(story, boss, parent, toDelegate(helper), [read]))).toBe('task_closed')
  })

  test('of a task that has ended is refused for that, whatever its chain would say besides', async () => {
    const { boss, helper, parent, child } = await aPair(story, [read])
    const hand = async (to: Caller, ceiling: (typeof read)[]) => {
      const ended = await story.parts.ledger.findTask(child.id)
      return await codeOf(handOver(story, helper, ended ?? child, toDelegate(to), ceiling))
    }
    expect([await hand(boss, [read]), await hand(story.caller(), [write])]).toEqual(['not_permitted', 'denied'])
    await story.endTask(parent)
    expect([await hand(boss, [read]), await hand(story.caller(), [write])]).toEqual(['task_closed', 'task_closed'])
  })

  test('is not made while the task, its owner or whoever stands above is locked', async () => {
    const { boss, parent, helper, child } = await aPair(story)
    for (const target of [{ account: boss.principal.account }, { task: parent.id }]) {
      const { lock } = await setLock(story.parts, story.operator(), { target, reason: 'a stolen token' })
      const error = await refusalOf(handOver(story, helper, child, { agent: 'a' }, [read]))
      expect(error).toMatchObject({ code: 'locked', members: { lock: { reason: 'a stolen token' } } })
      expect(await codeOf(handOver(story, boss, parent, { agent: 'a' }, [read]))).toBe('locked')
      await removeLock(story.parts, story.operator(), lock)
    }
    await handOver(story, helper, child, { agent: 'a' }, [read])
  })

  test('names actions and resources that there are; which one is wrong is told', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    const hand = (pair: typeof read) => refusalOf(handOver(story, boss, parent, { agent: 'a' }, [read, pair]))
    expect(await hand({ ...read, action: 'repo.burn' })).toMatchObject({
      code: 'unknown_action',
      errors: [{ field: 'ceiling.1.action' }],
    })
    expect(await hand({ ...read, resource: 'repo:elsewhere/web' })).toMatchObject({
      code: 'unknown_resource',
      errors: [{ field: 'ceiling.1.resource' }],
    })
  })

  test('is for somebody whom an issuer of workloads could vouch for', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    for (const issuer of ['nobody', 'staff', 'constructor']) {
      const error = await refusalOf(handOver(story, boss, parent, { delegate: { issuer, subject: 'x' } }, [read]))
      expect(error).toMatchObject({ code: 'invalid_request', errors: [{ field: 'delegate.issuer' }] })
    }
  })

  test('hands on no more than was handed over, and says so in the audit', async () => {
    const { helper, child } = await aPair(story, [read])
    const error = await refusalOf(handOver(story, helper, child, { agent: 'a' }, [read, write]))
    expect(error).toMatchObject({ code: 'denied', members: { reason: 'outside_ceiling' } })
    const refused = (await story.records('request.refused')).filter((one) => one.task === child.id)
    expect(refused).toMatchObject([{ code: 'denied', reason: 'outside_ceiling' }])
  })

  test('goes no deeper than the limit, and never back to somebody above', async () => {
    const { boss, helper, child } = await aPair(story, [read])
    expect(await codeOf(handOver(story, helper, child, toDelegate(boss), [read]))).toBe('not_permitted')
    const third = story.caller()
    const { delegation } = await handOver(story, helper, child, toDelegate(third), [read])
    const { task } = await openChild(story, third, delegation.id)
    expect(task.depth).toBe(2)
    const error = await refusalOf(handOver(story, third, task, { agent: 'a' }, [read]))
    expect(error).toMatchObject({ code: 'quota', detail: expect.stringContaining('limits.task.depth') })
  })

  test('back to a run above that the delegation did not name is refused when it opens', async () => {
    const boss = story.caller(undefined, { instance: 'run-1' })
    const helper = story.caller()
    const { delegation } = await handOver(story, boss, await story.task(boss), toDelegate(helper), [read])
    const { task: child } = await openChild(story, helper, delegation.id)
    const { delegation: back } = await handOver(story, helper, child, toDelegate(boss), [read])
    expect(await codeOf(openChild(story, boss, back.id))).toBe('not_permitted')
  })

  test('to oneself is no cycle: exec within exec does it', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    const { delegation } = await handOver(story, boss, parent, toDelegate(boss), [read])
    const { task } = await openChild(story, boss, delegation.id)
    expect(task.holders).toEqual(parent.holders)
    expect((await story.buy(boss, task, read)).lease.record.above).toBeUndefined()
    expect(await codeOf(story.buy(boss, task, write))).toBe('denied')
  })

  test('of which there is no record is told to nobody', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    story.broker.auditSwitch.isDown = (record) => record.event === 'delegation.created'
    expect(await codeOf(handOver(story, boss, parent, { agent: 'a' }, [read]))).toBe('audit_unavailable')
    story.broker.auditSwitch.isDown = () => false
  })

  test('a hundred that wait are enough', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    for (let i = 0; i < 100; i++) await handOver(story, boss, parent, { agent: 'a' }, [read])
    expect(await codeOf(handOver(story, boss, parent, { agent: 'a' }, [read]))).toBe('quota')
  })
})

describe("a sub-agent's token", () => {
  test('opens one task, judged as its parent under the ceiling, and says who acts', async () => {
    const boss = story.caller(undefined, { binding: 'dpop', attributes: { ref: 'main' } })
    const { agent, delegation } = await anAgent(story, boss, await story.task(boss))
    expect(agent.principal).toMatchObject({
      id: boss.principal.id,
      attributes: { ref: 'main' },
      binding: 'none',
      delegation: delegation.id,
      agent: 'reviewer',
    })
    const { task } = await openChild(story, agent, undefined)
    expect(task).toMatchObject({ agent: 'reviewer', delegation: delegation.id, principal: boss.principal.id })
    const minted = await story.buy(agent, task, { action: 'token.read', resource: read.resource }).catch(codeOfError)
    expect(minted).toBe('denied')
    expect((await story.buy(agent, task, read)).lease.state).toBe('active')
    expect(await codeOf(openChild(story, agent, undefined))).toBe('already_issued')
  })

  test('has no hand in its parent, a sibling or a delegation', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    const [first, second] = [await anAgent(story, boss, parent), await anAgent(story, boss, parent)]
    const { task: one } = await openChild(story, first.agent, undefined)
    const { task: two } = await openChild(story, second.agent, undefined)
    for (const task of [parent, two]) {
      expect(isOwn(task, first.agent.principal)).toBe(false)
      expect(await codeOf(story.buy(first.agent, task, read))).toBe('not_found')
    }
    expect(await codeOf(handOver(story, first.agent, one, { agent: 'b' }, [read]))).toBe('not_permitted')
    const { delegation } = await handOver(story, boss, parent, toDelegate(boss), [read])
    expect(await codeOf(openChild(story, first.agent, delegation.id))).toBe('not_found')
  })

  test('is good for nothing once the issuer of its parent is gone, nor is any task below', async () => {
    const boss = story.caller()
    const { agent, token } = await anAgent(story, boss, await story.task(boss))
    const { task } = await openChild(story, agent, undefined)
    const rules = { ...story.parts.rules(), isWorkloadIssuer: () => false }
    const parts = { ...story.parts, rules: () => rules }
    expect(await codeOf(authenticateDelegation(parts, token))).toBe('invalid_token')
    const seen = story.far.seen.length
    expect(await codeOf(exchange(parts, agent, task.id, asking(read), null))).toBe('not_permitted')
    expect(story.far.seen).toHaveLength(seen)
  })

  test('ends with its time; a task token, or one of ours for something else, is none', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    const { token } = await handOver(story, boss, parent, { agent: 'brief' }, [read], 1)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    for (const none of [token ?? '', await createTaskToken(story.parts, parent), `${token}x`, 'a.b.c']) {
      expect(await codeOf(authenticateDelegation(story.parts, none))).toBe('invalid_token')
    }
  })
})

test('the chain stands in what is minted: who acts outermost, with the name of the sub-agent', async () => {
  const minted = { action: 'token.read', resource: read.resource }
  const { boss, helper, child } = await aPair(story, [minted])
  const { agent } = await anAgent(story, helper, child, [minted])
  const { credentials } = await openTask(
    story.parts,
    agent,
    { purpose: 'p', credentials: [{ ...minted, context: {} }] },
    null,
  )
  const [, payload = ''] = String(credentials[0]?.credential.token).split('.')
  const { act } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { act: unknown }
  const [bossId, helperId] = [boss.principal.id, helper.principal.id]
  expect(act).toEqual({ sub: helperId, agent: 'reviewer', act: { sub: helperId, act: { sub: bossId } } })
})

/** A ledger that has nothing but what these records tell, one replay after the other. */
async function inAnotherLedger(replays: ((record: AuditRecord) => boolean)[], look: (at: TestLedger) => Promise<void>) {
  const redis = await startTestRedis()
  const other = await openTestLedger(redis)
  const connection = connectFailFast(redis, () => undefined)
  await untilReady(connection, 5000)
  const restoration = createRestoration(connection, redis.prefix)
  try {
    for (const isOurs of replays) {
      const projection = new AuditProjection()
      for (const record of (await story.records()).filter(isOurs)) projection.apply(record as unknown as StoredRecord)
      await replay({ ledger: other.ledger, restoration }, projection, { memoryMs: 86_400_000, complete: true })
    }
    await look(other)
  } finally {
    connection.disconnect()
    await other.close()
    await redis.stop()
  }
}

test('what the audit says is enough to write it all again', async () => {
  const { helper, child, delegation, boss, parent } = await aPair(story, [read])
  const { lease } = await story.buy(helper, child, read)
  const { delegation: unused } = await handOver(story, boss, parent, { agent: 'later' }, [write])
  const { agent } = await anAgent(story, boss, parent)
  const { task: agents } = await openChild(story, agent, undefined)
  await inAnotherLedger([() => true], async ({ ledger }) => {
    for (const task of [child, agents]) {
      const { activeLeases: _, ...same } = task
      expect(await ledger.findTask(task.id)).toMatchObject(same)
    }
    expect(await ledger.taskTree(parent.id)).toEqual(expect.arrayContaining([child.id, agents.id]))
    expect((await ledger.findLease(lease.id))?.record).toEqual(lease.record)
    expect(await ledger.findDelegation(delegation.id)).toMatchObject({ opened: child.id })
    expect(await ledger.findDelegation(unused.id)).toEqual(unused)
  })
})

test('a delegation comes back used, whichever instance replays first: who handed it on, or who opened with it', async () => {
  const { child, delegation } = await aPair(story, [read])
  const theirs = (record: AuditRecord) => record.task === child.id
  const ours = (record: AuditRecord) => !theirs(record)
  for (const order of [
    [ours, theirs],
    [theirs, ours],
  ]) {
    await inAnotherLedger(order, async ({ ledger }) => {
      expect(await ledger.findDelegation(delegation.id)).toMatchObject({ opened: child.id })
    })
  }
})

const codeOfError = (error: { code: string }) => error.code
