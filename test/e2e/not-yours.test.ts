// Calls on what is another's, and through the wrong door: the same 404 as for an unknown id, written down, changing nothing.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { type Stack, startStack } from '../support/stack.js'
import type { StackSettings } from '../support/stack-settings.js'
import {
  type Bought,
  buy,
  expectProblem,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  type Refused,
  report,
} from '../support/wire-checks.js'

let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask
let bought: Bought

beforeAll(async () => {
  stack = await startStack({
    settings: (base: StackSettings) => ({
      ...base,
      issuers: { ...base.issuers, prod: { ...base.issuers.prod, task_token: 'required' } },
    }),
  })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
  bought = await buy(stack, token, task, report)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})
afterEach(async () => {
  expect(await ledger.leaseIds()).toEqual([bought.lease])
  expect(await introspect(stack, token, bought.secret)).toMatchObject({ active: true, jti: bought.lease })
  expect((await stack.call('GET', task.path, { token })).body.state).toBe('open')
})

const recordsOf = (answer: Answer) =>
  stack
    .auditRecords()
    .filter((record) => record.request_id === answer.headers['x-request-id'])
    .map(({ event, code, principal, actor }) => ({ event, code, who: principal ?? actor }))

const notFound: Refused = { status: 404, code: 'not_found' }
const unknown = '0'.repeat(26)
const lease = () => `/v1/leases/${bought.lease}`
const calls: [name: string, method: string, path: () => string, asUnknown: string, body: object | null][] = [
  ['read a task', 'GET', () => task.path, `/v1/tasks/task_${unknown}`, null],
  ['buy in a task', 'POST', () => `${task.path}/credentials`, `/v1/tasks/task_${unknown}/credentials`, report],
  [
    'try out a purchase',
    'POST',
    () => `${task.path}/credentials?dry_run=true`,
    `/v1/tasks/task_${unknown}/credentials?dry_run=true`,
    report,
  ],
  ['complete a task', 'POST', () => `${task.path}/complete`, `/v1/tasks/task_${unknown}/complete`, {}],
  ['read a lease', 'GET', lease, `/v1/leases/lease_${unknown}`, null],
  ['release a lease', 'DELETE', lease, `/v1/leases/lease_${unknown}`, null],
]

describe.each([
  ['another principal', () => stack.ciToken({ sub: 'repo:acme/web:ref:refs/heads/fix' })],
  ['another run of the same workflow', () => stack.ciToken({ run_id: '101' })],
  ['another attempt of the same run', () => stack.ciToken({ run_attempt: '2' })],
  ['another account with the same subject', () => stack.ciToken({ repository_id: '2' })],
])('%s', (_who, sign) => {
  test.each(calls)('cannot %s', async (_name, method, path, asUnknown, body) => {
    const other = await sign()
    const options = { token: other, ...(body ? { body } : {}) }
    const answer = await stack.call(method, path(), options)
    expectProblem(answer, notFound)
    expect(answer.body).toEqual((await stack.call(method, asUnknown, options)).body)
    expect(recordsOf(answer)).toEqual([
      { event: 'request.refused', code: 'not_found', who: expect.stringMatching(/^ci:repo:acme/) },
    ])
  })
})

describe('the task token of another task', () => {
  test.each(calls)('cannot %s', async (_name, method, path, _asUnknown, body) => {
    const other = await openTask(stack, token)
    const answer = await stack.call(method, path(), { token: other.token, ...(body ? { body } : {}) })
    // A purchase takes no task token at all, not even the right one.
    expectProblem(answer, path().includes('credentials') ? { status: 401, code: 'invalid_token' } : notFound)
  })

  test('opens no door for operators, and identifies nobody to introspection', async () => {
    for (const [method, path] of [
      ['GET', '/v1/leases'],
      ['GET', '/v1/tasks'],
      ['POST', '/v1/revocations'],
    ] as const)
      expectProblem(await stack.call(method, path, { token: task.token }), { status: 401, code: 'invalid_token' })
    const asked = await stack.call('POST', '/oauth/introspect', { token: task.token, form: { token: bought.secret } })
    expect({ status: asked.status, error: asked.body.error }).toEqual({ status: 401, error: 'invalid_token' })
  })
})

describe('an issuer whose workloads also show the task token', () => {
  test('with it the owner may; without it, or with another, the same 404 as for a stranger', async () => {
    const svid = await stack.svid()
    const own = await openTask(stack, svid)
    const other = await openTask(stack, svid)
    const read = (taskToken?: string) =>
      stack.call('GET', own.path, { token: svid, headers: taskToken ? { 'hallpass-task-token': taskToken } : {} })
    expect((await read(own.token)).status).toBe(200)
    const unseen = await stack.call('GET', `/v1/tasks/task_${unknown}`, { token: svid })
    for (const wrong of [undefined, other.token, task.token, 'x', `${own.token}x`]) {
      const answer = await read(wrong)
      expectProblem(answer, notFound)
      expect(answer.body).toEqual(unseen.body)
      expect(recordsOf(answer)).toMatchObject([{ event: 'request.refused', code: 'not_found' }])
    }
    const purchase = await stack.call('POST', `${own.path}/credentials`, { token: svid, body: report })
    expectProblem(purchase, notFound)
  })
})

describe('the wrong door', () => {
  const refused: Refused = { status: 403, code: 'not_permitted' }
  const order = { target: { all: true }, reason: 'mine now' }

  test('a workload at an operators’ call', async () => {
    const doors: [method: string, path: string, body?: object][] = [
      ['GET', '/v1/leases'],
      ['POST', '/v1/revocations', order],
      ['GET', `/v1/revocations/rev_${unknown}`],
    ]
    for (const [method, path, body] of doors) {
      const answer = await stack.call(method, path, { token, ...(body ? { body } : {}) })
      expectProblem(answer, refused)
      expect(recordsOf(answer)).toMatchObject([{ event: 'request.refused', code: 'not_permitted' }])
    }
  })

  test('an operator at a workload’s call', async () => {
    const operator = await stack.operatorToken()
    for (const [, method, path, , body] of calls.filter(([name]) => !name.startsWith('read'))) {
      const answer = await stack.call(method, path(), { token: operator, ...(body ? { body } : {}) })
      expectProblem(answer, refused)
      expect(recordsOf(answer)).toMatchObject([{ event: 'operator.refused', code: 'not_permitted' }])
    }
  })

  test('an operator whom no policy permits', async () => {
    const nobody = await stack.operatorToken({ groups: ['interns'] })
    const ordered = await stack.call('POST', '/v1/revocations', { token: nobody, body: order })
    expectProblem(ordered, refused)
    expect(recordsOf(ordered)).toMatchObject([{ event: 'operator.refused', who: 'staff:olga' }])
    for (const target of [{ lease: bought.lease }, { resource: 'repo:acme/web' }, { task: task.id }])
      expectProblem(await stack.call('POST', '/v1/revocations', { token: nobody, body: { ...order, target } }), refused)
    expectProblem(await stack.call('GET', '/v1/leases', { token: nobody }), refused)
    for (const path of [task.path, lease()]) expectProblem(await stack.call('GET', path, { token: nobody }), notFound)
  })
})
