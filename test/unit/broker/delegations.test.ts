// Delegations: who may be handed what, who may use it, and how often.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Caller } from '../../../src/broker/parts.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { setLock } from '../../../src/broker/set-lock.js'
import type { Principal } from '../../../src/identity/principal.js'
import { aPair, handOver, openChild, read, toDelegate, write } from '../../support/chain.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

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
    // None of them may be over before the last is handed on.
    for (let i = 0; i < 100; i++) await handOver(story, boss, parent, { agent: 'a' }, [read], 600)
    expect(await codeOf(handOver(story, boss, parent, { agent: 'a' }, [read]))).toBe('quota')
  })
})
