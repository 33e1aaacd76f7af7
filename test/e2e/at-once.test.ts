// The same request twice, and requests at the same moment: an Idempotency-Key buys once, and what must not be held together is
// not (I8), however the requests interleave.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import {
  boughtOf,
  expectProblem,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  report,
} from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("no-database-writes-after-deploy")
forbid (principal, action == Action::"database.migrate", resource)
when { context.session.granted_access.contains("deploy") };
`
let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask

beforeAll(async () => {
  const limits = { account: { requests_per_minute: 10_000, open_tasks: 1000 } }
  stack = await startStack({ policies, settings: (base) => ({ ...base, limits }) })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const ask = (asked: object, key: string, path = task.path) =>
  stack.call('POST', `${path}/credentials`, { token, body: asked, headers: { 'idempotency-key': key } })
const recordsOf = (answer: Answer) =>
  stack.auditRecords().filter(({ request_id }) => request_id === answer.headers['x-request-id'])

describe('an Idempotency-Key', () => {
  test('buys once: the same again is told which lease, another request that it is another', async () => {
    const first = boughtOf(await ask(report, 'one'))
    const before = await ledger.leaseIds()
    // Defaults written out and members in another order are the same request.
    const same = await ask({ resource: report.resource, context: {}, action: report.action }, 'one')
    expectProblem(same, { status: 409, code: 'already_issued' })
    expect(same.body.lease).toMatchObject({ id: first.lease })
    expect(recordsOf(same)).toMatchObject([{ event: 'request.refused', code: 'already_issued', task: task.id }])
    const other = await ask({ ...report, ttl_seconds: 9 }, 'one')
    expectProblem(other, { status: 422, code: 'idempotency_mismatch' })
    expect(recordsOf(other)).toMatchObject([{ event: 'request.refused', code: 'idempotency_mismatch' }])
    expect(await ledger.leaseIds()).toEqual(before)
    expect(await introspect(stack, token, first.secret)).toMatchObject({ active: true })
  })

  test('is not used up by a denial, and is another one in another task', async () => {
    expectProblem(await ask({ action: 'pull_request.open', resource: 'database:orders' }, 'two'), {
      status: 404,
      code: 'unknown_resource',
    })
    expect((await ask(report, 'two')).status).toBe(201)
    const elsewhere = await openTask(stack, token)
    expect((await ask(report, 'two', elsewhere.path)).status).toBe(201)
  })

  test('sent ten times at once buys one', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(report, 'three')))
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses).toEqual([201, ...Array(9).fill(409)])
  })

  test('opens one task per account and instance', async () => {
    const headers = { 'idempotency-key': 'four' }
    const open = (who: string, purpose = 'x') =>
      stack.call('POST', '/v1/tasks', { token: who, body: { purpose }, headers })
    const answers = await Promise.all(Array.from({ length: 5 }, () => open(token)))
    const [opened, ...more] = answers.filter(({ status }) => status === 201)
    expect(more).toEqual([])
    const { id } = (opened?.body.task ?? {}) as { id?: string }
    for (const answer of answers.filter((one) => one !== opened)) {
      expectProblem(answer, { status: 409, code: 'already_issued' })
      expect(answer.body.task).toMatchObject({ id })
    }
    expectProblem(await open(token, 'y'), { status: 422, code: 'idempotency_mismatch' })
    expect((await open(await stack.ciToken({ run_id: '5' }))).status).toBe(201)
    expect((await open(await stack.ciToken({ repository_id: '5' }))).status).toBe(201)
  })
})

test('of two that forbid each other one is had, whichever tasks they are asked in', async () => {
  const deploy = { action: 'deploy.run', resource: 'repo:acme/web' }
  const migrate = { action: 'database.migrate', resource: 'database:orders', context: { change_type: 'data' } }
  for (let round = 0; round < 12; round++) {
    const run = await stack.ciToken({ run_id: `at-once-${round}` })
    const tasks = [await openTask(stack, run), await openTask(stack, run)]
    const answers = await Promise.all(
      [deploy, migrate, deploy, migrate].map((body, i) =>
        stack
          .call('POST', `${tasks[i % 2]?.path}/credentials`, { token: run, body })
          .then(({ status, body: said }) => ({
            action: body.action,
            said: said.reason ?? said.code ?? status,
          })),
      ),
    )
    const had = new Set(answers.filter(({ said }) => said === 201).map(({ action }) => action))
    expect(had.size).toBe(1)
    for (const { action, said } of answers) expect([201, 'forbidden']).toContain(had.has(action) ? 201 : said)
  }
})
