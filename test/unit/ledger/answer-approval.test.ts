// One person's answer in the ledger: which count, which come too late, and what a denial leaves behind.
import { describe, expect, test } from '@jest/globals'
import { systemClock } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import type { ApprovalRecord, ApprovalVote } from '../../../src/ledger/approval.js'
import type { AnswerApproval } from '../../../src/ledger/approval-ledger.js'
import { holderId } from '../../../src/ledger/keys.js'
import type { Task } from '../../../src/ledger/task.js'
import { aChildOf, openTask } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

let asked = 0
const recordOf = (task: Task) =>
  ({
    bound: { task: task.id, chain: task.chain, principal: task.principal, requirements: [] },
    boundSha256: `bound-${++asked}`,
    account: task.account,
    persons: [],
    purpose: 'a test',
    escalation: false,
    decision: 'dec_1',
    request: 'req_1',
  }) as unknown as ApprovalRecord
/** Keys that no other test denies. */
const keysOf = (name: string) => ({ cooldownKey: `cool-${name}`, flagKey: `flag-${name}` })
const askIn = (task: Task, name: string) =>
  at.ledger.askApproval({
    id: createId('appr', systemClock.now()),
    record: recordOf(task),
    timeoutSeconds: 60,
    pendingLimit: 1,
    locks: [],
    ...keysOf(name),
  })
async function pending(task: Task, name = `${++asked}`) {
  const answer = await askIn(task, name)
  if (answer.outcome !== 'ok') throw new Error(answer.outcome)
  return { id: answer.approval.id, name, task }
}
type Asked = Awaited<ReturnType<typeof pending>>
const vote = (vote: ApprovalVote['vote']) => ({ by: 'staff:ann', vote, reason: 'r', at: 1 }) as ApprovalVote
const answer = ({ id, name }: Asked, state: AnswerApproval['state'], over: Partial<AnswerApproval> = {}) =>
  at.ledger.answerApproval({
    id,
    answers: '0',
    person: 'ann',
    vote: vote(state === 'denied' ? 'deny' : 'approve'),
    state,
    locks: [],
    cooldownMs: 60_000,
    ...keysOf(name),
    ...over,
  })
const waiting = (task: Task) => at.raw.zcard(`${at.tag}h:${holderId('account', task.account)}:a`)
const isDue = async (id: string) => (await at.raw.zscore(`${at.tag}due:approvals`, id)) !== null

describe('an answer', () => {
  test('of many is kept, and the next one must have seen it', async () => {
    const task = await openTask(at.ledger)
    const one = await pending(task)
    expect(await answer(one, 'pending')).toEqual({ outcome: 'ok' })
    expect(await at.ledger.findApproval(one.id)).toMatchObject({
      state: 'pending',
      answers: '1',
      votes: [{ vote: 'approve' }],
    })
    expect([await waiting(task), await isDue(one.id)]).toEqual([1, true])
    expect(await answer(one, 'approved', { person: 'ben' })).toEqual({ outcome: 'version' })
    expect((await at.ledger.findApproval(one.id))?.answers).toBe('1')
    expect(await answer(one, 'approved', { person: 'ben', answers: '1' })).toEqual({ outcome: 'ok' })
    expect(await at.ledger.findApproval(one.id)).toMatchObject({ state: 'approved', answers: '2' })
    // Nobody waits for it any more, and its time still counts.
    expect([await waiting(task), await isDue(one.id)]).toEqual([0, true])
  })

  test('that says the same again is none, unless it is enough by now', async () => {
    const one = await pending(await openTask(at.ledger))
    await answer(one, 'pending')
    expect(await answer(one, 'pending', { answers: '1' })).toEqual({ outcome: 'again' })
    expect(await answer(one, 'approved', { answers: '1' })).toEqual({ outcome: 'ok' })
    expect(await answer(one, 'approved', { answers: '2' })).toEqual({ outcome: 'again' })
    // Another word of the same person is another answer: too late by now.
    expect(await answer(one, 'denied', { answers: '2' })).toEqual({ outcome: 'late', state: 'approved' })
  })

  test('to what is over, or was never asked, is late', async () => {
    const [over, root] = [await openTask(at.ledger), await openTask(at.ledger)]
    const child = await openTask(at.ledger, aChildOf(root))
    const [timed, below] = [await pending(over), await pending(child)]
    await at.raw.hset(`${at.tag}a:${timed.id}`, 'expires', 1)
    await at.raw.hset(`${at.tag}t:${root.id}`, 'state', 'ended')
    for (const one of [timed, below]) {
      for (const state of ['approved', 'denied'] as const) {
        expect(await answer(one, state)).toEqual({ outcome: 'late', state: 'expired' })
      }
    }
    expect(await answer({ ...timed, id: 'appr_never' }, 'approved')).toEqual({ outcome: 'not_found' })
    expect(await at.raw.exists(`${at.tag}a:appr_never`)).toBe(0)
  })

  test('that agrees is stopped by a lock; a denial never is', async () => {
    const one = await pending(await openTask(at.ledger))
    const locks = ['principal=staff:ben', 'principal=staff:ann']
    await at.raw.hset(`${at.tag}locked`, 'principal=staff:ann', 1)
    for (const state of ['pending', 'approved'] as const) {
      expect(await answer(one, state, { locks })).toEqual({ outcome: 'locked', target: 'principal=staff:ann' })
    }
    expect((await at.ledger.findApproval(one.id))?.votes).toEqual([])
    expect(await answer(one, 'denied', { locks })).toEqual({ outcome: 'ok' })
    await at.raw.del(`${at.tag}locked`)
  })
})

describe('a denial', () => {
  test('ends it: nobody waits, nothing is due, and the same is not asked again for a while', async () => {
    const task = await openTask(at.ledger)
    const one = await pending(task)
    expect(await answer(one, 'denied')).toEqual({ outcome: 'ok' })
    expect(await at.ledger.findApproval(one.id)).toMatchObject({ state: 'denied', endReason: 'voted' })
    expect([await waiting(task), await isDue(one.id)]).toEqual([0, false])
    const again = await askIn(task, one.name)
    if (again.outcome !== 'denied') throw new Error(again.outcome)
    expect(again.retryAfterSeconds).toBeGreaterThan(50)
    expect(again.retryAfterSeconds).toBeLessThanOrEqual(60)
    // Another question is free.
    await pending(task)
  })

  test('is flagged for a day, also where nothing is cooled down; three of one kind hold back all of it', async () => {
    const task = await openTask(at.ledger)
    const name = `${++asked}`
    const free = await pending(task, name)
    await answer(free, 'denied', { cooldownMs: 0 })
    const flagged = await askIn(task, name)
    expect(flagged).toMatchObject({ outcome: 'ok', approval: { deniedBefore: true } })
    expect(await at.raw.pttl(`${at.tag}ad:flag-${name}`)).toBeGreaterThan(86_000_000)
    if (flagged.outcome !== 'ok') throw new Error(flagged.outcome)
    await answer({ id: flagged.approval.id, name, task }, 'denied', { cooldownKey: 'x1' })
    for (const cooldownKey of ['x2', 'x3']) {
      const next = await askIn(task, name)
      if (next.outcome !== 'ok') throw new Error(next.outcome)
      await answer({ id: next.approval.id, name, task }, 'denied', { cooldownKey })
    }
    expect((await askIn(task, name)).outcome).toBe('denied')
  })
})
