// People agree to one exact request: what is bound, who counts, and that one approval buys one credential.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { approvalView } from '../../../src/broker/approval-view.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { answer, aPerson, approved, ask, shipping, shipRules, wantedBy } from '../../support/approval-story.js'
import { startTestBroker, type TestBroker } from '../../support/broker.js'
import { codeOf, refusalOf, type Story, startStory, untilAnswered } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

const stateOf = async (id: string) => (await story.parts.ledger.findApproval(id))?.state
const recordsOf = async (id: string) => (await story.records()).filter((record) => record.approval === id)
const eventsOf = async (id: string) => (await recordsOf(id)).map(({ event }) => event)

describe('an approval', () => {
  test('is asked once, agreed to by two, and buys one credential', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const mints = story.far.count('create')
    const first = await ask(story, caller, task)
    expect(first).toMatchObject({ state: 'pending', votes: [], record: { bound: { ttlSeconds: 60, policy: 'ship' } } })
    expect((await ask(story, caller, task)).id).toBe(first.id)
    expect((await ask(story, caller, task, { approval_id: first.id })).id).toBe(first.id)
    expect(await answer(story, first.id, aPerson('olga'))).toMatchObject({ state: 'pending' })
    expect(await answer(story, first.id, aPerson('rosa'))).toMatchObject({ state: 'approved' })
    // Without its id nothing is minted: the caller is told of it again.
    expect(await ask(story, caller, task)).toMatchObject({ id: first.id, state: 'approved' })
    expect(story.far.count('create')).toBe(mints)
    const bought = await story.buy(caller, task, shipping({ approval_id: first.id }))
    expect(bought.decision).toMatchObject({ effect: 'permit', policies: ['ship'] })
    expect(story.far.count('create')).toBe(mints + 1)
    expect(await story.parts.ledger.findApproval(first.id)).toMatchObject({ state: 'used', lease: bought.lease.id })
    expect(await eventsOf(first.id)).toEqual([
      'approval.requested',
      'decision.approval_required',
      'decision.approval_required',
      'approval.answered',
      'approval.answered',
      'decision.approval_required',
      'lease.reserved',
      'approval.used',
    ])
    const [reserved] = (await recordsOf(first.id)).filter(({ event }) => event === 'lease.reserved')
    expect(reserved).toMatchObject({
      decision: {
        effect: 'permit',
        input: { approval: { group: 'release', approvers: ['staff:olga', 'staff:rosa'] } },
      },
    })
    const again = await refusalOf(story.buy(caller, task, shipping({ approval_id: first.id })))
    expect(again).toMatchObject({ code: 'already_issued', members: { lease: { id: bought.lease.id } } })
    expect(story.far.count('create')).toBe(mints + 1)
    // The next one is asked for anew: nothing was said of it.
    expect((await ask(story, caller, task)).id).not.toBe(first.id)
  })

  test('buys one credential when it is repeated 64 times at once at two brokers', async () => {
    const other: TestBroker = await startTestBroker({
      redis: story.redis,
      far: story.farUrl,
      load: shipRules(),
      instance: 'two',
    })
    try {
      const { caller, task, id } = await approved(story)
      const mints = story.far.count('create')
      await story.keepIssuing()
      const { exchange } = await import('../../../src/broker/exchange.js')
      const repeats = Array.from({ length: 64 }, (_, i) =>
        untilAnswered(() =>
          exchange(i % 2 === 0 ? story.parts : other.parts, caller, task.id, shipping({ approval_id: id }), null),
        ),
      )
      const outcomes = await Promise.allSettled(repeats)
      const codes = outcomes.map((one) => (one.status === 'fulfilled' ? 'minted' : String(one.reason.code)))
      expect(codes.filter((code) => code === 'minted')).toHaveLength(1)
      expect(codes.filter((code) => code === 'already_issued')).toHaveLength(63)
      expect(story.far.count('create')).toBe(mints + 1)
      expect(await story.parts.ledger.leasesOfTask(task.id)).toHaveLength(1)
    } finally {
      await other.close()
    }
  })
})

const nothing = async (work: Promise<unknown>, expected: object) => {
  const mints = story.far.count('create')
  expect(await refusalOf(work)).toMatchObject(expected)
  expect(story.far.count('create')).toBe(mints)
}

describe('an approval is not', () => {
  test.each([
    ['another lifetime', { ttl_seconds: 61 }, ['ttl_seconds']],
    ['another resource', { resource: 'repo:acme/other' }, ['resource']],
    ['a declared value', { context: { note: 'x' } }, ['context']],
    ['another action', { action: 'ship.both' }, ['action', 'offer']],
  ])('for %s', async (_what, over, differs) => {
    const { caller, task, id } = await approved(story)
    const request = shipping({ ...over, approval_id: id })
    await nothing(story.buy(caller, task, request), { code: 'approval_required' })
    const [record] = (await recordsOf(id)).slice(-1)
    expect(record).toMatchObject({ event: 'decision.approval_required', code: 'approval_required' })
    expect(record?.differs).toEqual(differs)
    expect(await stateOf(id)).toBe('approved')
    expect(await story.parts.ledger.leasesOfTask(task.id)).toEqual([])
    await story.buy(caller, task, shipping({ approval_id: id }))
  })

  test('for another task of the same caller, nor for anybody else', async () => {
    const { caller, id } = await approved(story)
    const stranger = story.caller()
    for (const who of [caller, stranger]) {
      const task = await story.task(who)
      await nothing(story.buy(who, task, shipping({ approval_id: id })), { code: 'not_found' })
      const refused = {
        event: 'request.refused',
        code: 'not_found',
        reason: 'an approval of another task',
        task: task.id,
      }
      expect((await recordsOf(id)).at(-1)).toMatchObject(refused)
    }
    const unknown = `appr_${'0'.repeat(26)}`
    const task = await story.task(stranger)
    await nothing(story.buy(stranger, task, shipping({ approval_id: unknown })), { code: 'not_found' })
    expect(await stateOf(id)).toBe('approved')
  })

  test('there after its time: late answers are refused, and nothing is minted', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const soon = { action: 'ship.soon' }
    const asked = await ask(story, caller, task, soon)
    const used = await ask(story, caller, task, { ...soon, resource: 'repo:acme/other' })
    await answer(story, used.id, aPerson('olga'))
    for (const { id, requestedAt, expiresAt } of [asked, used]) {
      expect(expiresAt).toBe(requestedAt + 300_000)
      // As if they had waited so long.
      await story.at.raw.hincrby(`${story.at.tag}a:${id}`, 'expires', -300_000)
      await story.at.raw.zincrby(`${story.at.tag}due:approvals`, -300_000, id)
    }
    expect(await codeOf(answer(story, asked.id, aPerson('olga')))).toBe('invalid_request')
    const refusal = { event: 'operator.refused', actor: 'staff:olga', code: 'invalid_request' }
    expect((await recordsOf(asked.id)).at(-1)).toMatchObject(refusal)
    await story.sweep()
    for (const { id } of [asked, used]) {
      expect(await story.parts.ledger.findApproval(id)).toMatchObject({ state: 'expired', endReason: 'time' })
      expect((await recordsOf(id)).at(-1)).toMatchObject({ event: 'approval.expired', reason: 'time' })
    }
    const late = { ...soon, resource: 'repo:acme/other', approval_id: used.id }
    await nothing(story.buy(caller, task, shipping(late)), { code: 'approval_required' })
  })

  test('there after its task has ended', async () => {
    const { caller, task, id } = await approved(story)
    const { id: pending } = await ask(story, caller, task, { resource: 'repo:acme/other' })
    await story.endTask(task)
    for (const one of [id, pending]) expect(await stateOf(one)).toBe('expired')
    expect(await codeOf(answer(story, pending, aPerson('olga')))).toBe('invalid_request')
    await nothing(story.buy(caller, task, shipping({ approval_id: id })), { code: 'task_closed' })
    await story.sweep()
    expect((await recordsOf(pending)).at(-1)).toMatchObject({ event: 'approval.expired', reason: 'task_ended' })
  })
})

describe('answers', () => {
  const asked = async (over = {}) => {
    const caller = story.caller()
    const task = await story.task(caller)
    return { caller, task, id: (await ask(story, caller, task, over)).id }
  }

  test('of one human at two issuers count once, and so does the same answer twice', async () => {
    const { id } = await asked()
    await answer(story, id, aPerson('olga'))
    await answer(story, id, aPerson('olga'))
    const same = await answer(story, id, aPerson('olga', { issuer: 'second', id: 'second:olga' }))
    expect(same).toMatchObject({ state: 'pending', votes: [{ by: 'staff:olga' }] })
    expect((await answer(story, id, aPerson('pete'))).state).toBe('approved')
  })

  test('of one who denies end it, whoever agreed before; it is not asked again at once, and flagged later', async () => {
    const { caller, task, id } = await asked()
    await answer(story, id, aPerson('olga'))
    expect((await answer(story, id, aPerson('rosa'), 'deny')).state).toBe('denied')
    expect(await codeOf(answer(story, id, aPerson('pete')))).toBe('invalid_request')
    await nothing(story.buy(caller, task, shipping({ approval_id: id })), { code: 'approval_required' })
    const cooling = await refusalOf(story.buy(caller, task, shipping()))
    expect(cooling).toMatchObject({ code: 'quota', retryAfterSeconds: expect.any(Number) })
    expect((await ask(story, caller, task, { context: { note: 'other' } })).deniedBefore).toBe(true)
  })

  test.each([
    ['nobody', aPerson('nobody'), /no policy permits/],
    ['one who may approve and is not in the group', aPerson('ivan'), /not in release/],
    ['one of another group', aPerson('sam'), /not in release/],
  ])('of %s are refused', async (_who, who, why) => {
    const { id } = await asked()
    const refused = await refusalOf(answer(story, id, who))
    expect(refused.code).toBe('not_permitted')
    expect(refused.detail).toMatch(why)
    expect((await recordsOf(id)).at(-1)).toMatchObject({ event: 'operator.refused', actor: who.principal.id })
    expect(await story.parts.ledger.findApproval(id)).toMatchObject({ state: 'pending', votes: [] })
  })

  test('of the human behind the request are refused', async () => {
    const caller = story.caller(undefined, { person: 'olga@acme.example' })
    const task = await story.task(caller)
    const { id } = await ask(story, caller, task)
    expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('not_permitted')
    expect((await recordsOf(id)).at(-1)).toMatchObject({ reason: 'it is their own request' })
  })

  test('of two groups add up, and nobody is counted for both', async () => {
    const { caller, task, id } = await asked({ action: 'ship.both' })
    expect((await answer(story, id, aPerson('pete'))).state).toBe('pending')
    expect((await answer(story, id, aPerson('olga'))).state).toBe('approved')
    await story.buy(caller, task, shipping({ action: 'ship.both', approval_id: id }))
  })

  test('that come at once all see each other: what is on record says the same as the ledger', async () => {
    for (let round = 0; round < 10; round++) {
      const { id } = await asked()
      const deny = round % 2 === 0
      const votes = ['olga', 'pete', 'rosa'].map((name) =>
        answer(story, id, aPerson(name), deny && name === 'rosa' ? 'deny' : 'approve').catch((error) => error.code),
      )
      const told = await Promise.all(votes)
      const approval = await story.parts.ledger.findApproval(id)
      const counted = (approval?.votes ?? []).map(({ by, vote }) => `${by} ${vote}`).sort()
      expect(approval?.answers).toBe(String(counted.length))
      // Two agreed first, or one denied first; whoever came later was told so.
      const states = told.map((one) => (typeof one === 'string' ? one : 'counted'))
      expect(states.filter((one) => one === 'counted')).toHaveLength(counted.length)
      expect(states.every((one) => one === 'counted' || one === 'invalid_request')).toBe(true)
      expect(approval?.state).toBe(counted.includes('staff:rosa deny') ? 'denied' : 'approved')
      const projection = new AuditProjection()
      for (const record of await story.records()) projection.apply(record as unknown as StoredRecord)
      const [rebuilt] = [...projection.approvals()].filter((one) => one.id === id)
      expect(rebuilt?.state).toBe(approval?.state)
      expect((rebuilt?.votes ?? []).map(({ by, vote }) => `${by} ${vote}`).sort()).toEqual(counted)
    }
  })

  test('do not count without their record: agreeing fails, denying holds', async () => {
    const { id } = await asked()
    story.broker.auditSwitch.isDown = ({ event }) => event === 'approval.answered'
    try {
      expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('audit_unavailable')
      expect(await story.parts.ledger.findApproval(id)).toMatchObject({ state: 'pending', votes: [] })
      expect(await codeOf(answer(story, id, aPerson('olga'), 'deny'))).toBe('audit_unavailable')
      expect(await stateOf(id)).toBe('denied')
    } finally {
      story.broker.auditSwitch.isDown = () => false
    }
  })
})

test('a request that cannot be recorded asks nobody', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  story.broker.auditSwitch.isDown = ({ event }) => event === 'approval.requested'
  try {
    expect(await codeOf(story.buy(caller, task, shipping()))).toBe('audit_unavailable')
  } finally {
    story.broker.auditSwitch.isDown = () => false
  }
  const listed = await story.parts.ledger.listApprovals(task.account, null, 10)
  expect(listed).toMatchObject([{ state: 'expired', endReason: 'not_recorded' }])
})

test('approvers see what they should not overlook', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  await story.buy(caller, task)
  const flags: string[][] = []
  for (let i = 0; i < 5; i++) {
    const asked = await ask(story, caller, task, { context: { note: `n${i}` } })
    flags.push(approvalView(asked, story.parts.issuer, asked.requestedAt).flags)
    if (i === 0) await answer(story, asked.id, aPerson('olga'), 'deny')
  }
  // Having read, it asks for an admin's action; then again after a denial; then for the fifth time within the hour.
  expect(flags[0]).toEqual(['escalation'])
  expect(flags[1]).toEqual(['denied_before', 'escalation'])
  expect(flags[4]).toEqual(['denied_before', 'many_recent', 'escalation'])
})

test('at most ten of an account wait', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  for (let i = 0; i < 10; i++) await ask(story, caller, task, { resource: `repo:acme/r${i}` })
  const refused = await refusalOf(wantedBy(story.buy(caller, task, shipping({ resource: 'repo:acme/r10' }))))
  expect(refused).toMatchObject({ code: 'quota', retryAfterSeconds: expect.any(Number) })
  const listed = await story.parts.ledger.listApprovals(task.account, null, 100)
  expect(listed).toHaveLength(10)
  await answer(story, listed[0]?.id ?? '', aPerson('olga'), 'deny')
  await ask(story, caller, task, { resource: 'repo:acme/r10' })
})
