// Every route there is, called by those who may not: operators whom no policy permits, workloads, and the bearer of a task
// token, which can only read and shrink. A new route that stands in no row fails the first test.
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { allRoutes } from '../../src/http/routes.js'
import { type Stack, startStack } from '../support/stack.js'
import { type StackSettings, stackGrants } from '../support/stack-settings.js'
import {
  type Bought,
  buy,
  expectProblem,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  report,
  until,
} from '../support/wire-checks.js'

let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask
let bought: Bought
let approval: string

beforeAll(async () => {
  const asking = { ...stackGrants['report.read'], require: { approval: 'on-call:1' } }
  // A quick machine asks for all of it within one minute.
  const limits = { account: { requests_per_minute: 100_000 } }
  const settings = (base: StackSettings) => ({ ...base, limits, grants: { ...base.grants, 'report.ask': asking } })
  stack = await startStack({ settings })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
  // It outlives the file, however slow the machine is.
  bought = await buy(stack, token, task, { ...report, ttl_seconds: 1800 })
  const body = { action: 'report.ask', resource: 'repo:acme/web' }
  const asked = await stack.call('POST', `${task.path}/credentials`, { token, body })
  approval = (asked.body.approval as { id: string }).id
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const unknown = '0'.repeat(26)
const simulated = { request: { ...report, principal: { issuer: 'ci', subject: 'x' } } }
const order = { target: { all: true }, reason: 'mine now' }
const denied = '403 not_permitted'
const absent = '404 not_found'
const strange = '401 invalid_token'

interface Row {
  readonly path?: (on: { task: string; lease: string }) => string
  readonly body?: object
  readonly form?: () => Record<string, string>
  /** What an operator whom no policy permits, a workload (the owner) and a task token are answered. */
  readonly nobody: string
  readonly workload?: string
  readonly taskToken: string
  /** A task token after its task's end, where that is another answer. */
  readonly ended?: string
  /** The `action` in the audit of an operator's refusal. */
  readonly action?: string
}
const onLease = (suffix = '') => ({ path: ({ lease }: { lease: string }) => `/v1/leases/${lease}${suffix}` })
const onTask = (suffix = '') => ({ path: ({ task: id }: { task: string }) => `/v1/tasks/${id}${suffix}` })
const forOperators = (action: string) => ({ nobody: denied, workload: denied, taskToken: strange, action })

const rows: Record<string, Row> = {
  'POST /v1/tasks': { body: { purpose: 'x' }, nobody: denied, taskToken: strange },
  'GET /v1/tasks': { nobody: denied, taskToken: strange, action: 'operate.view' },
  'GET /v1/tasks/:id': { ...onTask(), nobody: absent, taskToken: '200' },
  'POST /v1/tasks/:id/complete': { ...onTask('/complete'), body: {}, nobody: denied, taskToken: '200' },
  'POST /v1/tasks/:id/heartbeat': { ...onTask('/heartbeat'), nobody: denied, taskToken: strange },
  'POST /v1/tasks/:id/credentials': { ...onTask('/credentials'), body: report, nobody: denied, taskToken: strange },
  'POST /v1/tasks/:id/delegations': {
    ...onTask('/delegations'),
    body: { agent: 'x', ceiling: [report], ttl_seconds: 60 },
    nobody: denied,
    taskToken: strange,
  },
  'POST /v1/tasks/:id/events': {
    ...onTask('/events'),
    body: { events: [{ type: 'tool_call', tool: 'psql', outcome: 'ok' }] },
    nobody: denied,
    taskToken: '200',
    ended: '409 task_closed',
  },
  'GET /v1/tasks/:id/timeline': { ...onTask('/timeline'), nobody: absent, taskToken: '200' },
  'GET /v1/audit': { ...forOperators('operate.audit') },
  'GET /v1/leases': { ...forOperators('operate.view') },
  'GET /v1/leases/:id': { ...onLease(), nobody: absent, taskToken: '200' },
  'DELETE /v1/leases/:id': { ...onLease(), nobody: denied, taskToken: '200' },
  'POST /v1/leases/:id/retry': { ...onLease('/retry'), body: {}, ...forOperators('operate.retry') },
  'POST /v1/leases/:id/abandon': { ...onLease('/abandon'), body: { reason: 'x' }, ...forOperators('operate.abandon') },
  'POST /v1/revocations': { body: order, ...forOperators('operate.revoke') },
  'GET /v1/revocations/:id': { path: () => `/v1/revocations/rev_${unknown}`, ...forOperators('operate.view') },
  'POST /v1/locks': { body: order, ...forOperators('operate.lock') },
  'GET /v1/locks': { ...forOperators('operate.view') },
  'DELETE /v1/locks/:id': { path: () => `/v1/locks/lock_${unknown}`, ...forOperators('operate.unlock') },
  'GET /v1/approvals': { nobody: denied, taskToken: strange, action: 'operate.view' },
  'GET /v1/approvals/:id': { path: () => `/v1/approvals/${approval}`, nobody: absent, taskToken: absent },
  'POST /v1/approvals/:id/approve': {
    path: () => `/v1/approvals/${approval}/approve`,
    body: { reason: 'x' },
    ...forOperators('operate.approve'),
  },
  'POST /v1/approvals/:id/deny': {
    path: () => `/v1/approvals/${approval}/deny`,
    body: { reason: 'x' },
    ...forOperators('operate.approve'),
  },
  'POST /oauth/introspect': { form: () => ({ token: bought.secret }), nobody: '200', taskToken: strange },
  'GET /v1/grants': { nobody: denied, taskToken: strange },
  'GET /v1/whoami': { nobody: '200', taskToken: strange },
  'POST /v1/policy/apply': { body: { hash: '0'.repeat(12), reason: 'x' }, ...forOperators('operate.revoke') },
  'GET /v1/policy/pending': { ...forOperators('operate.view') },
  'POST /v1/policy/simulate': { body: simulated, ...forOperators('operate.simulate') },
}
const table = Object.entries(rows)

const send = (name: string, row: Row, as: string, on = { task: task.id, lease: bought.lease }): Promise<Answer> => {
  const [method = '', pattern = ''] = name.split(' ')
  const body = row.body === undefined ? {} : { body: row.body }
  return stack.call(method, row.path?.(on) ?? pattern, {
    token: as,
    ...body,
    ...(row.form === undefined ? {} : { form: row.form() }),
  })
}
const said = ({ status, body }: Answer) => (status < 300 ? '200' : `${status} ${String(body.code ?? body.error)}`)
const recordsOf = (answer: Answer) =>
  stack.auditRecords().filter((record) => record.request_id === answer.headers['x-request-id'])

async function expectUntouched(): Promise<void> {
  expect(await introspect(stack, token, bought.secret)).toMatchObject({ active: true, jti: bought.lease })
  expect((await stack.call('GET', task.path, { token })).body.state).toBe('open')
  expect(await ledger.keysOf('locks')).toEqual([])
}

test('no route is missing here', () => {
  const condition = { audit: () => null, issuers: () => ({}), providers: () => ({}) }
  const routes = allRoutes({ issuer: stack.url, version: '0', documents: {}, condition })
  const asking = routes.filter(({ access }) => access !== 'public').map(({ method, path }) => `${method} ${path}`)
  expect(Object.keys(rows).sort()).toEqual(asking.sort())
})

describe('an operator whom no policy permits', () => {
  test.each(table)('%s', async (name, row) => {
    const answer = await send(name, row, await stack.operatorToken({ groups: ['interns'] }))
    expect(said(answer)).toBe(row.nobody)
    if (row.nobody === '200') return
    const [status = '', code = ''] = row.nobody.split(' ')
    expectProblem(answer, { status: Number(status), code })
    const [record, ...more] = recordsOf(answer)
    expect(more).toEqual([])
    expect(record).toMatchObject({ event: 'operator.refused', ...(row.action ? { action: row.action } : {}) })
    expect(record?.principal ?? record?.actor).toBe('staff:olga')
    await expectUntouched()
  })

  test('each target of an order and of a lock, also where there is none', async () => {
    const nobody = await stack.operatorToken({ groups: ['interns'] })
    const targets = [
      ...[{ lease: bought.lease }, { lease: `lease_${unknown}` }, { task: task.id }, { task: `task_${unknown}` }],
      ...[{ principal: 'ci:x' }, { account: 'ci:1296269' }, { issuer: 'ci' }, { action: 'report.read' }],
      ...[{ resource: 'repo:acme/web' }, { provider: 'tokens' }, { all: true }],
    ]
    for (const path of ['/v1/revocations', '/v1/locks']) {
      for (const target of targets) {
        const answer = await stack.call('POST', path, { token: nobody, body: { target, reason: 'x' } })
        expectProblem(answer, { status: 403, code: 'not_permitted' })
        expect(recordsOf(answer)).toMatchObject([{ event: 'operator.refused', actor: 'staff:olga' }])
      }
    }
    await expectUntouched()
  })
})

describe('a workload', () => {
  test.each(table.filter(([, { workload }]) => workload !== undefined))('%s', async (name, row) => {
    const answer = await send(name, row, token)
    expectProblem(answer, { status: 403, code: 'not_permitted' })
    const refused = {
      event: 'request.refused',
      code: 'not_permitted',
      principal: expect.stringMatching(/^ci:repo:acme/),
    }
    expect(recordsOf(answer)).toMatchObject([refused])
    await expectUntouched()
  })
})

describe('a task token', () => {
  test.each(table)('%s', async (name, row) => {
    const own = await openTask(stack, token)
    const { lease } = await buy(stack, token, own, report)
    const leases = (await ledger.leaseIds()).length
    expect(said(await send(name, row, own.token, { task: own.id, lease }))).toBe(row.taskToken)
    // Another task's, and that task's lease, are not there for it.
    if (row.taskToken === '200') expect(said(await send(name, row, own.token))).toBe(absent)
    expect((await ledger.leaseIds()).length).toBe(leases)
    await expectUntouched()
  })

  test('after completion it reads its own task and leases, changes nothing and opens nothing', async () => {
    const own = await openTask(stack, token)
    const { lease } = await buy(stack, token, own, report)
    const completed = await stack.call('POST', `${own.path}/complete?wait_seconds=10`, { token: own.token, body: {} })
    expect(completed.body.receipts).toMatchObject([{ lease_id: lease, outcome: 'confirmed' }])
    const before = stack.auditRecords().filter((record) => record.lease === lease).length
    for (const [name, row] of table) {
      const expected = row.ended ?? row.taskToken
      expect([name, said(await send(name, row, own.token, { task: own.id, lease }))]).toEqual([name, expected])
    }
    const again = await stack.call('POST', `${own.path}/complete`, { token: own.token, body: { outcome: 'failed' } })
    expect(again.body).toEqual(completed.body)
    expect(stack.auditRecords().filter((record) => record.lease === lease)).toHaveLength(before)
    const { exp } = JSON.parse(Buffer.from(own.token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }
    const { expires_at } = completed.body.task as { expires_at: string }
    expect(exp).toBe(Math.floor(Date.parse(expires_at) / 1000) + 3600)
  })
})

test('/.well-known/hallpass tells what is in force, also after the issuers were changed', async () => {
  const facts = async () => (await stack.call('GET', '/.well-known/hallpass')).body
  expect(await facts()).toMatchObject({ audiences: [stack.url], login: [] })
  const config = JSON.parse(readFileSync(stack.configFile, 'utf8')) as StackSettings
  const { ci, staff } = config.issuers
  const login = { client_id: 'hallpass-operators' }
  const issuers = { ...config.issuers, ci: { ...ci, audience: [stack.url, 'more'] }, staff: { ...staff, login } }
  writeFileSync(stack.configFile, JSON.stringify({ ...config, issuers }))
  const seen = await until(facts, (told) => (told.login as object[]).length > 0, 30)
  expect(seen).toMatchObject({
    audiences: [stack.url, 'more'],
    login: [{ name: 'staff', ...login, token: 'id_token' }],
  })
})
