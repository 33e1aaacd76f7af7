// 429: quotas and the rate, counted in the same script as the reservation, so before any provider is called.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import {
  buy,
  expectProblem,
  type LedgerView,
  lookIntoLedger,
  openTask,
  type Refused,
  report,
  until,
} from '../support/wire-checks.js'

const perMinute = 30
const limits = {
  task: { active_leases: 2 },
  account: { active_leases: 3, open_tasks: 4, requests_per_minute: perMinute },
  provider: { active_leases: 8 },
}

let stack: Stack
let ledger: LedgerView

beforeAll(async () => {
  stack = await startStack({ settings: (base) => ({ ...base, limits }) })
  ledger = lookIntoLedger(stack)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const quota = (detail: RegExp): Refused => ({ status: 429, code: 'quota', detail, retryAfter: true })
/** A caller of an account of its own: limits of one test are not another's. */
const callerOf = (repository: string, run = '1') => stack.ciToken({ repository_id: repository, run_id: run })
const ask = (token: string, path: string) => stack.call('POST', `${path}/credentials`, { token, body: report })

test('leases of one task; one that ends makes room', async () => {
  const token = await callerOf('1')
  const task = await openTask(stack, token)
  const first = await buy(stack, token, task, report)
  await buy(stack, token, task, report)
  const before = await ledger.leaseIds()
  const refused = await ask(token, task.path)
  expectProblem(refused, quota(/limits\.task\.active_leases/))
  expect(await ledger.leaseIds()).toEqual(before)
  const record = stack.auditRecords().find(({ request_id }) => request_id === refused.headers['x-request-id'])
  expect(record).toMatchObject({ event: 'request.refused', code: 'quota', task: task.id })
  const released = await stack.call('DELETE', `/v1/leases/${first.lease}`, { token })
  expect(released.body).toMatchObject({ receipt: { outcome: 'confirmed' } })
  await buy(stack, token, task, report)
})

test('leases of one account, over its tasks and its runs', async () => {
  const [one, two] = [await callerOf('2', '1'), await callerOf('2', '2')]
  const [taskOne, taskTwo] = [await openTask(stack, one), await openTask(stack, two)]
  await buy(stack, one, taskOne, report)
  await buy(stack, one, taskOne, report)
  await buy(stack, two, taskTwo, report)
  expectProblem(await ask(two, taskTwo.path), quota(/limits\.account\.active_leases/))
})

test('leases of one provider, over all accounts', async () => {
  const tasks = await Promise.all(
    ['31', '32', '33', '34'].map(async (repository) => {
      const token = await callerOf(repository)
      return { token, task: await openTask(stack, token) }
    }),
  )
  const answers = []
  for (const { token, task } of tasks) answers.push(await ask(token, task.path), await ask(token, task.path))
  expect(await ledger.due()).toHaveLength(limits.provider.active_leases)
  const refused = answers.filter(({ status }) => status !== 201)
  expect(refused.length).toBeGreaterThan(0)
  for (const answer of refused) expectProblem(answer, quota(/limits\.provider\.active_leases/))
  // The tests after this one need the room.
  for (const { token, task } of tasks)
    expect(await stack.call('POST', `${task.path}/complete?wait_seconds=30`, { token, body: {} })).toMatchObject({
      status: 200,
    })
  const inUse = limits.provider.active_leases - answers.length + refused.length
  await until(ledger.due, (due) => due.length === inUse)
})

test('open tasks of one account; one that ends makes room, and one that is refused leaves nothing', async () => {
  const token = await callerOf('4')
  const tasks = await Promise.all(Array.from({ length: 4 }, () => openTask(stack, token)))
  const before = await ledger.taskIds()
  const open = () => stack.call('POST', '/v1/tasks', { token, body: { purpose: 'one more' } })
  expectProblem(await open(), quota(/limits\.account\.open_tasks/))
  expect(await ledger.taskIds()).toEqual(before)
  await stack.call('POST', `${tasks[0]?.path}/complete`, { token, body: {} })
  expect((await open()).status).toBe(201)
})

test('a task with credentials of which one is over a limit keeps none of them', async () => {
  const token = await callerOf('5')
  const body = { purpose: 'three at once', credentials: [report, report, report] }
  const before = await ledger.taskIds()
  const refused = await stack.call('POST', '/v1/tasks', { token, body })
  expectProblem(refused, quota(/limits\.task\.active_leases/))
  expect(refused.text).not.toContain('"credential"')
  const [left] = (await ledger.taskIds()).filter((id) => !before.includes(id))
  const minted = await ledger.redis.smembers(ledger.key(`t:${left}:l`))
  expect(minted).toHaveLength(2)
  await until(
    () => Promise.all(minted.map(ledger.state)),
    (states) => states.every((state) => state === 'revoked'),
  )
  expect((await stack.call('GET', `/v1/tasks/${left}`, { token })).body).toMatchObject({
    state: 'ended',
    outcome: 'failed',
  })
})

test('requests of one account in a minute; another account is not slowed', async () => {
  const token = await callerOf('6')
  // Twice as many and one: wherever the minute turns, one of the two halves is over.
  const answers = await Promise.all(
    Array.from({ length: 2 * perMinute + 1 }, () =>
      stack.call('POST', `/v1/tasks/task_${'0'.repeat(26)}/credentials`, { token, body: report }),
    ),
  )
  const refused = answers.filter(({ status }) => status === 429)
  expect(refused.length).toBeGreaterThan(0)
  for (const answer of refused) {
    expectProblem(answer, { status: 429, code: 'rate', retryAfter: true })
    expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(60)
  }
  expect(answers.filter(({ status }) => status === 404).length).toBeLessThanOrEqual(2 * perMinute)
  await openTask(stack, await callerOf('7'))
  // Floods must not fill the audit.
  expect(stack.auditRecords().filter(({ code }) => code === 'rate')).toEqual([])
})

test('simultaneous requests cannot both take the last place', async () => {
  const token = await callerOf('8')
  const task = await openTask(stack, token)
  const answers = await Promise.all(Array.from({ length: 12 }, () => ask(token, task.path)))
  expect(answers.map(({ status }) => status).filter((status) => status === 201)).toHaveLength(2)
  for (const answer of answers.filter(({ status }) => status !== 201)) expect([429, 503]).toContain(answer.status)
})
