// Rows of the wire contract that no other file holds: the order of checks, what lists tell, and what an operator may see
// of a resource.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sha256Hex } from '../../src/core/hash.js'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { buy, expectProblem, type OpenedTask, openTask, report, sendRaw, until } from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("dba-views-databases")
permit (principal in Group::"dba", action == Action::"operate.view", resource is Database);
`
const migrate = { action: 'database.migrate', resource: 'database:orders', context: { change_type: 'data' } }
const unknown = '0'.repeat(26)

let stack: Stack
let token: string
let operator: string
let dba: string
beforeAll(async () => {
  stack = await startStack({
    policies,
    settings: (base) => ({
      ...base,
      issuers: { ...base.issuers, prod: { ...base.issuers.prod, task_token: 'required' } },
      groups: { ...base.groups, dba: [{ issuer: 'staff', where: { roles: 'dba' } }] },
      limits: { task: { depth: 0 } },
    }),
  })
  token = await stack.ciToken()
  operator = await stack.operatorToken()
  dba = await stack.operatorToken({ sub: 'dora', email: 'dora@acme.example', groups: ['dba'] })
})
afterAll(async () => {
  await stack?.stop()
})

const get = async (path: string, as = operator) => await stack.call('GET', path, { token: as })
const idsIn = (list: unknown) => (list as { id: string }[]).map(({ id }) => id)

describe('the order of checks', () => {
  const badContext = { ...migrate, context: { change_type: 'drop' } }
  test.each([`task_${unknown}`, 'task_x', '*'])('in %s: context and catalogue go before the task', async (id) => {
    const ask = (body: object) => stack.call('POST', `/v1/tasks/${encodeURIComponent(id)}/credentials`, { token, body })
    expectProblem(await ask(badContext), { status: 400, code: 'invalid_request', field: 'context.change_type' })
    expectProblem(await ask({ ...report, action: 'repo.burn' }), { status: 404, code: 'unknown_action' })
    expectProblem(await ask({ ...report, resource: 'repo:x/y' }), { status: 404, code: 'unknown_resource' })
    expectProblem(await ask(report), { status: 404, code: 'not_found' })
  })

  test('and before the task token that is missing; a delegation is no other', async () => {
    const svid = await stack.svid()
    const own = await openTask(stack, svid)
    const ask = (body: object) => stack.call('POST', `${own.path}/credentials`, { token: svid, body })
    expectProblem(await ask(badContext), { status: 400, code: 'invalid_request', field: 'context.change_type' })
    expectProblem(await ask(report), { status: 404, code: 'not_found' })
    const ceiling = [{ action: 'repo.burn', resource: 'repo:acme/web' }]
    const body = { agent: 'x', ceiling, ttl_seconds: 60 }
    const answer = await stack.call('POST', `/v1/tasks/task_${unknown}/delegations`, { token, body })
    expectProblem(answer, { status: 404, code: 'unknown_action', field: 'ceiling.0.action' })
  })
})

test('a limit that only an operator lifts says, too, when to come again', async () => {
  const task = await openTask(stack, token)
  const body = { agent: 'x', ceiling: [report], ttl_seconds: 60 }
  const answer = await stack.call('POST', `${task.path}/delegations`, { token, body })
  expectProblem(answer, { status: 429, code: 'quota', detail: /limits.task.depth/, retryAfter: true })
})

test('a 400 names what is wrong, also of what is no request', async () => {
  expectProblem(await get('/v1/tasks/%zz'), { status: 400, code: 'invalid_request', field: 'path' })
  const garbage = await sendRaw(stack.url, 'NO HTTP AT ALL\r\n\r\n')
  expect(garbage).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: [{ field: 'request' }] } })
  expect(garbage.headers['x-request-id']).toMatch(/^req_/)
})

describe('lists', () => {
  let task: OpenedTask
  let [released, kept] = ['', '']
  let secret = ''
  beforeAll(async () => {
    task = await openTask(stack, token)
    const first = await buy(stack, token, task, report)
    ;[released, secret] = [first.lease, first.secret]
    kept = (await buy(stack, token, task, report)).lease
    const given = await stack.call('DELETE', `/v1/leases/${released}`, { token })
    expect(given.body.receipt).toMatchObject({ outcome: 'confirmed' })
  })

  test("of a task's leases tell those that ended, page by page", async () => {
    const { leases, next_cursor } = (await get(`/v1/leases?task=${task.id}&limit=1`)).body
    const rest = (await get(`/v1/leases?task=${task.id}&limit=1&cursor=${next_cursor}`)).body
    expect([...idsIn(leases), ...idsIn(rest.leases)].sort()).toEqual([released, kept].sort())
    expect(rest.next_cursor).toBeNull()
    expect(idsIn((await get(`/v1/leases?task=${task.id}&state=active`)).body.leases)).toEqual([kept])
  })

  test('of leases by a state that is an end tell what ended lately', async () => {
    const ended = await until(
      async () => (await get('/v1/leases?state=revoked&limit=1')).body,
      ({ leases }) => (leases as unknown[]).length > 0,
    )
    expect(idsIn(ended.leases)).toEqual([released])
    expect(await stack.runAs(operator, 'lease', 'list', '--state', 'revoked')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(released),
    })
  })

  test('by fingerprint say whose a leaked credential was after its end, too', async () => {
    const { leases, next_cursor } = (await get(`/v1/leases?fingerprint=${sha256Hex(secret)}`)).body
    expect([idsIn(leases), next_cursor]).toEqual([[released], null])
  })

  test('of ended tasks tell the recent ones: an operator everybody’s, a workload its own', async () => {
    await stack.call('POST', `${task.path}/complete`, { token, body: {} })
    for (const who of [operator, token]) {
      const seen = await until(
        async () => idsIn((await get('/v1/tasks?state=ended', who)).body.tasks),
        (ids) => ids.includes(task.id),
      )
      expect(seen).toContain(task.id)
    }
    const byAccount = async (account: string) =>
      idsIn((await get(`/v1/tasks?state=ended&account=${account}`)).body.tasks).includes(task.id)
    expect([await byAccount('ci:1296269'), await byAccount('ci:1')]).toEqual([true, false])
    const named = await stack.runAs(operator, 'task', 'list', '--state', 'ended', '--principal', 'ci:somebody')
    expect(named).toMatchObject({ code: 0, stdout: expect.not.stringContaining(task.id) })
    const other = await stack.ciToken({ run_id: '101' })
    expect(idsIn((await get('/v1/tasks?state=ended', other)).body.tasks)).toEqual([])
    expect(idsIn((await get('/v1/tasks?state=open')).body.tasks)).not.toContain(task.id)
  })
})

test('who may view databases sees the tasks and the orders that are about databases alone', async () => {
  const [onDatabase, onBoth] = [await openTask(stack, token), await openTask(stack, token)]
  await buy(stack, token, onDatabase, migrate)
  await buy(stack, token, onBoth, migrate)
  await buy(stack, token, onBoth, report)
  expect((await get(onDatabase.path, dba)).body).toMatchObject({ id: onDatabase.id })
  expectProblem(await get(onBoth.path, dba), { status: 404, code: 'not_found' })
  expectProblem(await get(`${onDatabase.path}/timeline`, dba), { status: 404, code: 'not_found' })
  expect(idsIn((await get('/v1/tasks', dba)).body.tasks)).toEqual([onDatabase.id])
  const order = async (target: object) =>
    (await stack.call('POST', '/v1/revocations', { token: operator, body: { target, reason: 'drill' } })).body.id
  expect((await get(`/v1/revocations/${await order({ resource: 'database:orders' })}`, dba)).status).toBe(200)
  expect((await get(`/v1/revocations/${await order({ task: onDatabase.id })}`, dba)).status).toBe(200)
  for (const target of [{ account: 'ci:1' }, { resource: 'repo:acme/web' }, { where: { issuer: 'prod' } }]) {
    const answer = await get(`/v1/revocations/${await order(target)}`, dba)
    expectProblem(answer, { status: 403, code: 'not_permitted' })
  }
})
