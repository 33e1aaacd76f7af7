import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { CredentialRequest } from '../../../src/api/credentials.js'
import { dryRunOpening } from '../../../src/broker/dry-run.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller } from '../../../src/broker/parts.js'
import { verifyTaskToken } from '../../../src/broker/task-token.js'
import { holderId } from '../../../src/ledger/keys.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(async () => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
  await story.parts.ledger.takeDue([], 1)
})

const open = (caller: Caller, credentials: Partial<CredentialRequest>[], key: string | null = null) =>
  openTask(
    story.parts,
    caller,
    { purpose: 'several at once', credentials: credentials.map(asking) },
    key === null ? null : { key, bodySha256: JSON.stringify(credentials) },
  )

const openTasksOf = (caller: Caller) => story.parts.ledger.openTasksOf(holderId('account', caller.principal.account))

describe('a task', () => {
  test('is on record with its purpose, and its token names it', async () => {
    const caller = story.caller()
    const opened = await openTask(story.parts, caller, { purpose: 'fix the build' }, null)
    expect(opened.credentials).toEqual([])
    expect(await verifyTaskToken(story.parts, opened.taskToken)).toBe(opened.task.id)
    const [record] = (await story.records('task.opened')).filter((one) => one.task === opened.task.id)
    expect(record).toMatchObject({
      principal: caller.principal.id,
      purpose: 'fix the build',
      token_sha256: caller.principal.tokenSha256,
    })
  })

  test('that cannot be put on record is closed again, and the caller is told so', async () => {
    const caller = story.caller()
    story.broker.auditSwitch.isDown = (record) => record.event === 'task.opened'
    expect(await codeOf(story.task(caller))).toBe('audit_unavailable')
    expect(await openTasksOf(caller)).toEqual([])
  })
})

describe('with credentials asked for at once', () => {
  test('all are minted', async () => {
    const opened = await open(story.caller(), [{}, { action: 'repo.write' }, { action: 'token.read' }])
    expect(opened.credentials.map(({ lease }) => lease.record.action)).toEqual([
      'repo.read',
      'repo.write',
      'token.read',
    ])
    expect(opened.credentials.map(({ lease }) => lease.state)).toEqual(['active', 'active', 'active'])
    expect((await story.parts.ledger.findTask(opened.task.id))?.activeLeases).toBe(3)
  })

  test('what is wrong with one of them is named by its place', async () => {
    const caller = story.caller()
    const fieldOf = async (...credentials: Partial<CredentialRequest>[]) =>
      (await refusalOf(open(caller, credentials))).errors?.[0]?.field
    expect(await fieldOf({}, { context: { branch: 'x' } })).toBe('credentials.1.context.branch')
    expect(await fieldOf({ ttl_seconds: 0.5 }, {})).toBe('credentials.0.ttl_seconds')
    expect(await fieldOf({}, {}, { action: 'repo.burn' })).toBe('credentials.2.action')
    expect(await fieldOf({}, { resource: 'repo:other/web' })).toBe('credentials.1.resource')
    expect(await openTasksOf(caller)).toEqual([])
  })

  test('one denial: nothing is minted, there is no task, and every decision is told', async () => {
    const caller = story.caller()
    const error = await refusalOf(open(caller, [{}, { action: 'account.delete' }, { action: 'repo.write' }]))
    expect(error.code).toBe('denied')
    const decisions = error.members.decisions as { effect: string }[]
    expect(decisions.map((one) => one.effect)).toEqual(['permit', 'deny', 'permit'])
    expect(story.far.seen).toEqual([])
    expect(await openTasksOf(caller)).toEqual([])
    const denied = await story.records('decision.denied')
    expect(denied.filter((one) => one.principal === caller.principal.id)).toHaveLength(1)
  })

  test('each is decided as if those before it were held', async () => {
    const caller = story.caller()
    const both = [{ action: 'deploy.run' }, { action: 'database.migrate', resource: 'database:orders' }]
    expect(await codeOf(open(caller, both))).toBe('denied')
    expect(await openTasksOf(caller)).toEqual([])
  })

  test('one failing mint: what was minted is revoked, the task is ended, 502', async () => {
    const caller = story.caller()
    let secrets = 0
    story.far.during.secret = async () => {
      secrets++
      if (secrets === 2) story.far.mood.secret = 'fails'
    }
    expect(await codeOf(open(caller, [{}, { action: 'repo.write' }, { action: 'token.read' }]))).toBe('provider_failed')
    expect(await openTasksOf(caller)).toEqual([])
    const ended = (await story.records('task.ended')).filter((one) => one.principal === caller.principal.id)
    expect(ended).toMatchObject([{ outcome: 'failed' }])
    const leases = await story.parts.ledger.leasesOfTask(String(ended[0]?.task))
    expect(leases).toHaveLength(2)
    for (const lease of leases) expect((await story.finish(lease)).state).toBe('revoked')
    for (const lease of leases) expect(story.far.alive()).not.toContain(lease)
  })

  test('the caller is told of the mint, not of what went wrong while cleaning up', async () => {
    const caller = story.caller()
    story.far.mood.create = 'fails'
    story.broker.auditSwitch.isDown = (record) => record.event === 'task.ended'
    expect(await codeOf(open(caller, [{}]))).toBe('provider_failed')
    expect(await openTasksOf(caller)).toEqual([])
  })
})

describe('an Idempotency-Key', () => {
  test('opens once; the same again names the task, another body is a mismatch', async () => {
    const caller = story.caller()
    const { task } = await open(caller, [{}], `open-${process.pid}`)
    const again = await refusalOf(open(caller, [{}], `open-${process.pid}`))
    expect(again).toMatchObject({ code: 'already_issued', members: { task: { id: task.id } } })
    expect(await codeOf(open(caller, [{ ttl_seconds: 5 }], `open-${process.pid}`))).toBe('idempotency_mismatch')
    expect(await openTasksOf(caller)).toEqual([task.id])
  })

  test('that bought something says so, whatever would be decided now', async () => {
    const caller = story.caller()
    const deploy = { action: 'deploy.run' }
    const opened = await open(caller, [deploy], `once-${process.pid}`)
    // Nobody holds two deployments: decided anew it would be a denial, and the caller would not know what it has.
    expect(await codeOf(open(caller, [deploy]))).toBe('denied')
    const again = await refusalOf(open(caller, [deploy], `once-${process.pid}`))
    expect(again).toMatchObject({
      code: 'already_issued',
      members: { task: { id: opened.task.id }, leases: [{ id: opened.credentials[0]?.lease.id }] },
    })
    const denied = (await story.records('decision.denied')).filter((one) => one.principal === caller.principal.id)
    expect(denied).toHaveLength(1)
  })

  test('is not used up by a denial', async () => {
    const caller = story.caller()
    expect(await codeOf(open(caller, [{ action: 'account.delete' }], `denied-${process.pid}`))).toBe('denied')
    await open(caller, [{}], `denied-${process.pid}`)
  })
})

test('a plan that would be denied is on record, and does not count as a denial', async () => {
  const caller = story.caller()
  const { task } = await open(caller, [{}])
  const request = { purpose: 'a plan', credentials: [asking({ action: 'account.delete' })] }
  expect(await codeOf(dryRunOpening(story.parts, caller, request))).toBe('denied')
  const recent = async () =>
    (await story.parts.ledger.lookHolders(task.holders)).holders.map((one) => one.recentDenials)
  expect((await story.records('decision.denied')).at(-1)).toMatchObject({ principal: caller.principal.id })
  expect(await recent()).toEqual([0, 0])
  expect(await codeOf(openTask(story.parts, caller, request, null))).toBe('denied')
  expect(await recent()).toEqual([1, 1])
})

test('of several credentials the wrong one is told by its place', async () => {
  const caller = story.caller()
  const wrong = (over: Partial<CredentialRequest>) => refusalOf(open(caller, [{}, over]))
  expect(await wrong({ context: { branch: 'x' } })).toMatchObject({
    code: 'invalid_request',
    errors: [{ field: 'credentials.1.context.branch' }],
  })
  expect(await wrong({ action: 'no.such' })).toMatchObject({
    code: 'unknown_action',
    errors: [{ field: 'credentials.1.action' }],
  })
  expect(await wrong({ resource: 'repo:nobody/web' })).toMatchObject({
    code: 'unknown_resource',
    errors: [{ field: 'credentials.1.resource' }],
  })
  expect(await openTasksOf(caller)).toEqual([])
})
