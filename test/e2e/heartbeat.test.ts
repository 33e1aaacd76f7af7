// Heartbeats over the wire: who may send them, and what becomes of a task without them.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { buy, expectProblem, introspect, openTask, pause, report, until } from '../support/wire-checks.js'

let stack: Stack
let token: string
beforeAll(async () => {
  stack = await startStack()
  token = await stack.ciToken()
})
afterAll(async () => {
  await stack?.stop()
})

const beat = (path: string, bearer: string) => stack.call('POST', `${path}/heartbeat`, { token: bearer })

test('a task that beats goes on; one that stops is ended as abandoned and its credential with it', async () => {
  const [kept, left] = [
    await openTask(stack, token, { heartbeat_seconds: 10 }),
    await openTask(stack, token, { heartbeat_seconds: 5 }),
  ]
  const credential = await buy(stack, token, left, report)
  // Longer than it may be silent.
  for (let i = 0; i < 8; i++) {
    const before = Date.now()
    const answer = await beat(kept.path, token)
    expect(answer).toMatchObject({ status: 200, body: { task: { id: kept.id, state: 'open' } } })
    expect(Date.parse(String(answer.body.next_before)) - before).toBeGreaterThan(8000)
    await pause(1500)
  }
  const gone = await until(
    async () => (await stack.call('GET', left.path, { token })).body,
    (task) => task.state === 'ended',
    40,
  )
  expect(gone).toMatchObject({ outcome: 'abandoned' })
  expect(await introspect(stack, token, credential.secret)).toEqual({ active: false })
  expectProblem(await beat(left.path, token), { status: 409, code: 'task_closed' })
  const { body } = await stack.call('GET', `/v1/leases/${credential.lease}`, { token })
  expect(body).toMatchObject({ end_reason: 'abandoned' })
}, 120_000)

test('takes the subject token alone: a task token can only shrink things', async () => {
  const task = await openTask(stack, token, { heartbeat_seconds: 3600 })
  expect((await beat(task.path, task.token)).status).toBe(401)
  expect((await stack.call('POST', `${task.path}/heartbeat`, { token, body: {} })).status).toBe(200)
  const more = await stack.call('POST', `${task.path}/heartbeat`, { token, body: { busy: true } })
  expectProblem(more, { status: 400, code: 'invalid_request', field: 'busy' })
  expectProblem(await beat(`/v1/tasks/task_${'0'.repeat(26)}`, token), { status: 404, code: 'not_found' })
})

test.each([4, 3601, 0.5, '60', null])('heartbeat_seconds %p: 400 that names it', async (heartbeat_seconds) => {
  const answer = await stack.call('POST', '/v1/tasks', { token, body: { purpose: 'a test', heartbeat_seconds } })
  expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: 'heartbeat_seconds' }] } })
})

test('the state of the breakers is among the metrics', async () => {
  const { text } = await stack.call('GET', '/metrics')
  expect(text).toMatch(/hallpass_breaker_state\{provider="[a-z_]+",direction="issue"\} 0/)
})
