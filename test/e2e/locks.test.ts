// Locks and failed revocations over the wire and the command line: each refusal and each success.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import {
  buy,
  expectProblem,
  introspect,
  type LedgerView,
  lookIntoLedger,
  openTask,
  report,
  until,
} from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("on-call-locks")
permit (principal in Group::"on-call", action in [Action::"operate.lock", Action::"operate.unlock", Action::"operate.retry", Action::"operate.abandon"], resource);

@id("web-team-locks-its-repo")
permit (principal in Group::"web", action in [Action::"operate.view", Action::"operate.lock", Action::"operate.unlock", Action::"operate.revoke"], resource == Repo::"repo:acme/web");
`

let stack: Stack
let ledger: LedgerView
let token: string
let operator: string
let webTeam: string
let viewer: string
beforeAll(async () => {
  stack = await startStack({
    policies: `${policies}
@id("viewers-view")
permit (principal in Group::"viewers", action == Action::"operate.view", resource);
`,
    settings: (base) => ({
      ...base,
      groups: {
        ...base.groups,
        web: [{ issuer: 'staff', where: { roles: 'web' } }],
        viewers: [{ issuer: 'staff', where: { roles: 'viewer' } }],
      },
    }),
  })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  operator = await stack.operatorToken()
  webTeam = await stack.operatorToken({ sub: 'wanda', groups: ['web'] })
  viewer = await stack.operatorToken({ sub: 'vera', groups: ['viewer'] })
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const account = { account: 'ci:1296269' }
const lock = (target: object, more: object = {}, as = operator) =>
  stack.call('POST', '/v1/locks', { token: as, body: { target, reason: 'laptop stolen', ...more } })
const unlock = (id: unknown, as = operator) => stack.call('DELETE', `/v1/locks/${id}`, { token: as })
const locks = async (as = operator) => (await stack.call('GET', '/v1/locks', { token: as })).body
const ask = (path: string, body: object = report) =>
  stack.call('POST', `${path}/credentials`, { token, body: { ...body } })

describe('a lock', () => {
  test('stops its target from the answer on, revokes what it has, and lets go when it is removed', async () => {
    const task = await openTask(stack, token)
    const bought = await buy(stack, token, task, report)
    const set = await lock(account)
    expect(set).toMatchObject({
      status: 201,
      body: {
        id: expect.stringMatching(/^lock_[0-9a-z]{26}$/),
        target: account,
        reason: 'laptop stolen',
        expires_at: null,
        created_at: expect.stringMatching(/Z$/),
      },
    })
    // On disk before the answer.
    const record = stack.auditRecords().find(({ event, lock }) => event === 'lock.set' && lock === set.body.id)
    expect(record).toMatchObject({ actor: 'staff:olga', target: account, reason: 'laptop stolen' })
    expect(await introspect(stack, token, bought.secret)).toEqual({ active: false })
    const refused = await ask(task.path)
    expectProblem(refused, { status: 403, code: 'locked' })
    expect(refused.body.detail).toContain('laptop stolen')
    expectProblem(
      await stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x', credentials: [{ ...report }] } }),
      { status: 403, code: 'locked' },
    )
    expect(stack.auditRecords().some((one) => one.event === 'request.refused' && one.code === 'locked')).toBe(true)
    await until(
      () => ledger.state(bought.lease),
      (state) => state === 'revoked',
    )
    expect((await locks()).locks).toMatchObject([{ id: set.body.id }])
    expect(await unlock(set.body.id)).toMatchObject({ status: 200, body: { id: set.body.id } })
    await buy(stack, token, task, report)
    expectProblem(await unlock(set.body.id), { status: 404, code: 'not_found' })
    expectProblem(await unlock('rev_1'), { status: 404, code: 'not_found' })
    expect((await locks()).locks).toEqual([])
  })

  test('stands across a restart of every program, and two stand until both are removed', async () => {
    const task = await openTask(stack, token)
    const [one, two] = [await lock(account), await lock(account)]
    await stack.programs.worker?.kill('SIGKILL')
    await Promise.all([stack.restart('serve', 'SIGKILL'), stack.start('worker')])
    await stack.untilReady()
    expectProblem(await ask(task.path), { status: 403, code: 'locked' })
    await unlock(one.body.id)
    expectProblem(await ask(task.path), { status: 403, code: 'locked' })
    await unlock(two.body.id)
    await buy(stack, token, task, report)
  })

  test('with an end is over by itself', async () => {
    const task = await openTask(stack, token)
    const expires_at = new Date(Date.now() + 12_000).toISOString()
    const set = await lock(account, { expires_at })
    expect(set.body.expires_at).toBe(expires_at)
    expectProblem(await ask(task.path), { status: 403, code: 'locked' })
    await until(
      () => ask(task.path),
      ({ status }) => status === 201,
      60,
    )
    expect((await locks()).locks).toEqual([])
    // The sweeper records the end after it.
    const removed = await until(
      () => stack.auditRecords().find(({ event, lock }) => event === 'lock.removed' && lock === set.body.id),
      (record) => record !== undefined,
    )
    expect(removed).toMatchObject({ actor: 'sweeper', expired: true })
  })

  test('that is none is refused, field by field', async () => {
    const wrong: [object, object, string][] = [
      [{}, {}, 'target'],
      [{ where: { issuer: 'ci' } }, {}, 'target'],
      [{ account: 'a', issuer: 'b' }, {}, 'target'],
      [account, { reason: '' }, 'reason'],
      [account, { expires_at: 'tomorrow' }, 'expires_at'],
      [account, { expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
      [account, { forever: true }, 'forever'],
    ]
    for (const [target, more, field] of wrong) {
      const answer = await lock(target, more)
      expectProblem(answer, { status: 400, code: 'invalid_request' })
      expect(answer.body.errors).toMatchObject([{ field: expect.stringMatching(new RegExp(`^${field}`)) }])
    }
    expect((await locks()).locks).toEqual([])
  })

  test('is judged by policy on its resource, else on the Broker; workloads have no say', async () => {
    const refused = { status: 403, code: 'not_permitted' }
    expectProblem(await lock(account, {}, viewer), refused)
    expectProblem(await lock(account, {}, webTeam), refused)
    expectProblem(await lock({ resource: 'repo:acme/api' }, {}, webTeam), refused)
    expectProblem(await lock(account, {}, token), refused)
    expectProblem(await stack.call('GET', '/v1/locks', { token }), refused)
    const own = await lock({ resource: 'repo:acme/web' }, {}, webTeam)
    expect(own.status).toBe(201)
    const others = await lock({ resource: 'repo:acme/api' })
    expect((await locks(webTeam)).locks).toMatchObject([{ id: own.body.id }])
    expect((await locks(viewer)).locks).toHaveLength(2)
    expectProblem(await unlock(own.body.id, viewer), refused)
    expectProblem(await unlock(others.body.id, webTeam), refused)
    expect((await unlock(own.body.id, webTeam)).status).toBe(200)
    expect((await unlock(others.body.id)).status).toBe(200)
    const stranger = await stack.operatorToken({ sub: 'sam', groups: [] })
    expectProblem(await stack.call('GET', '/v1/locks', { token: stranger }), refused)
    const told = stack
      .auditRecords()
      .filter(({ event, action }) => event === 'operator.refused' && action === 'operate.lock')
    expect(told.length).toBeGreaterThanOrEqual(3)
  })
})

describe('an order with a lock', () => {
  const order = (target: object, more: object, as = operator) =>
    stack.call('POST', '/v1/revocations', { token: as, body: { target, reason: 'a leak', ...more } })

  test('locks first, then revokes; a dry run does neither', async () => {
    const task = await openTask(stack, token)
    const bought = await buy(stack, token, task, report)
    const dry = await order(account, { lock_seconds: 60, dry_run: true })
    expect(dry.body.id).toBeNull()
    await buy(stack, token, task, report)
    const ordered = await order(account, { lock_seconds: 60 })
    expect(ordered).toMatchObject({ status: 202, body: { lock: expect.stringMatching(/^lock_/) } })
    expect(ordered.body.matched).toBeGreaterThanOrEqual(2)
    expectProblem(await ask(task.path), { status: 403, code: 'locked' })
    await until(
      () => ledger.state(bought.lease),
      (state) => state === 'revoked',
    )
    expect((await locks()).locks).toMatchObject([{ id: ordered.body.lock, expires_at: expect.any(String) }])
    await unlock(ordered.body.lock)
  })

  test('needs both permissions, and a name to lock', async () => {
    const own = { resource: 'repo:acme/web' }
    expectProblem(await order(account, { lock_seconds: 60 }, webTeam), { status: 403, code: 'not_permitted' })
    expectProblem(await order({ where: { issuer: 'ci' } }, { lock_seconds: 60 }), {
      status: 400,
      code: 'invalid_request',
      field: 'lock_seconds',
    })
    expectProblem(await order(own, { lock_seconds: 0 }), {
      status: 400,
      code: 'invalid_request',
      field: 'lock_seconds',
    })
    const ordered = await order(own, { lock_seconds: 60 }, webTeam)
    expect(ordered.status).toBe(202)
    await unlock(ordered.body.lock)
  })

  test('by filter reaches what all of it names, and refuses an empty one', async () => {
    const task = await openTask(stack, token)
    const read = await buy(stack, token, task, report)
    const write = await buy(stack, token, task, { action: 'pull_request.open', resource: 'repo:acme/web' })
    const where = { issuer: 'ci', action: 'pull_request.open', attributes: { repository_id: '1296269' } }
    expect((await order({ where }, { dry_run: true })).body.matched).toBe(1)
    const other = { ...where, attributes: { repository_id: '1' } }
    expect((await order({ where: other }, { dry_run: true })).body.matched).toBe(0)
    expect((await order({ where }, {})).body.matched).toBe(1)
    await until(
      () => ledger.state(write.lease),
      (state) => state === 'revoked',
    )
    expect(await ledger.state(read.lease)).toBe('active')
    for (const wrong of [
      {},
      { attributes: {} },
      { color: 'red' },
      { issued_after: 'x' },
      { attributes: { a: null } },
    ]) {
      expectProblem(await order({ where: wrong }, {}), { status: 400, code: 'invalid_request' })
    }
  })
})

describe('a lease whose revocation has not failed', () => {
  test('is neither retried nor abandoned, and nobody without permission is told anything', async () => {
    const task = await openTask(stack, token)
    const { lease } = await buy(stack, token, task, report)
    const decide = (what: string, body: object, as = operator, id = lease) =>
      stack.call('POST', `/v1/leases/${id}/${what}`, { token: as, body })
    expectProblem(await decide('retry', {}), { status: 400, code: 'invalid_request', field: 'id' })
    expectProblem(await decide('abandon', { reason: 'r' }), { status: 400, code: 'invalid_request', field: 'id' })
    expectProblem(await decide('abandon', {}), { status: 400, code: 'invalid_request', field: 'reason' })
    for (const what of ['retry', 'abandon']) {
      expectProblem(await decide(what, { reason: 'r' }, viewer), { status: 403, code: 'not_permitted' })
      expectProblem(await decide(what, { reason: 'r' }, token), { status: 403, code: 'not_permitted' })
      expectProblem(await decide(what, { reason: 'r' }, operator, `lease_${'0'.repeat(26)}`), {
        status: 404,
        code: 'not_found',
      })
    }
    expect(await ledger.state(lease)).toBe('active')
    expect((await stack.call('GET', '/v1/leases?state=failed', { token: operator })).body.leases).toEqual([])
  })
})
