// What clients do that were written from the contract alone: other libraries, other languages, other habits.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sha256Hex } from '../../src/core/hash.js'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { type Bought, buy, expectProblem, type OpenedTask, openTask, report, sendRaw } from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("on-call-locks")
permit (principal in Group::"on-call", action in [Action::"operate.lock", Action::"operate.unlock"], resource);
`
let stack: Stack
let token: string
let operator: string
let task: OpenedTask
let live: Bought
beforeAll(async () => {
  stack = await startStack({ policies })
  token = await stack.ciToken()
  operator = await stack.operatorToken()
  task = await openTask(stack, token)
  live = await buy(stack, token, task, report)
})
afterAll(async () => {
  await stack?.stop()
})

const asOperator = (method: string, path: string, body?: object) =>
  stack.call(method, path, { token: operator, ...(body === undefined ? {} : { body }) })
const leasesOf = async (query: string) =>
  ((await asOperator('GET', `/v1/leases?${query}`)).body.leases as { id: string }[]).map(({ id }) => id)

describe('an operator', () => {
  test('names a session by the instance that the task shows', async () => {
    const { instance } = (await stack.call('GET', task.path, { token })).body
    expect(instance).toBe('ci:1296269/100/1')
    expect(await leasesOf(`session=${encodeURIComponent(String(instance))}`)).toEqual([live.lease])
    expect(await leasesOf('session=ci:1296269/100/2')).toEqual([])
    const order = { target: { where: { session: instance } }, reason: 'a test', dry_run: true }
    expect((await asOperator('POST', '/v1/revocations', order)).body).toMatchObject({ matched: 1 })
  })

  test('hashes a secret with a tool that prints upper case', async () => {
    expect(await leasesOf(`fingerprint=${sha256Hex(live.secret).toUpperCase()}`)).toEqual([live.lease])
    expectProblem(await asOperator('GET', '/v1/leases?fingerprint=zz'), { status: 400, code: 'invalid_request' })
  })

  test('sends a lock as locks are shown, with null for no end', async () => {
    const target = { account: 'ci:nobody' }
    const set = await asOperator('POST', '/v1/locks', { target, reason: 'a test', expires_at: null })
    expect(set.status).toBe(201)
    expect(set.body).toMatchObject({ target, expires_at: null })
    expect((await asOperator('DELETE', `/v1/locks/${String(set.body.id)}`)).status).toBe(200)
  })
})

describe('a workload', () => {
  test('may write out what is the default when it asks again with its key', async () => {
    const headers = { 'idempotency-key': 'outside-1' }
    const ask = (body: object) => stack.call('POST', `${task.path}/credentials`, { token, headers, body })
    const first = await ask(report)
    expect(first.status).toBe(201)
    const again = await ask({ ...report, context: {}, approval_id: null })
    expectProblem(again, { status: 409, code: 'already_issued' })
    expect(again.body.lease).toMatchObject({ id: (first.body.lease as { id: string }).id })
    expectProblem(await ask({ ...report, ttl_seconds: 60 }), { status: 422, code: 'idempotency_mismatch' })
  })

  test.each([
    ['with a length', 4],
    ['in chunks', 4],
  ])('that writes all of a body %s before it reads is told that it is too large', async (how, mebibytes) => {
    const body = `{"purpose":"${'x'.repeat(mebibytes << 20)}"}`
    const head = [
      'POST /v1/tasks HTTP/1.1',
      `Host: ${new URL(stack.url).host}`,
      `Authorization: Bearer ${token}`,
      'Content-Type: application/json',
      how === 'with a length' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked',
    ].join('\r\n')
    const sent = how === 'with a length' ? body : `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const bytes = Buffer.from(`${head}\r\n\r\n${sent}`)
    const answer = await sendRaw(stack.url, bytes)
    expect(answer.status).toBe(413)
    expect(answer.body).toMatchObject({ code: 'too_large' })
    // All of it went out: whoever writes first and reads then got as far as reading.
    const response = await fetch(`${stack.url}/v1/tasks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
    })
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([413, 'too_large'])
  })

  test('hands on in a task that has ended: 409, whatever else is wrong with it', async () => {
    const over = await openTask(stack, token)
    await stack.call('POST', `${over.path}/complete`, { token, body: {} })
    const delegate = (change: object) =>
      stack.call('POST', `${over.path}/delegations`, {
        token,
        body: {
          agent: 'x',
          ceiling: [{ action: report.action, resource: report.resource }],
          ttl_seconds: 60,
          ...change,
        },
      })
    expectProblem(await delegate({}), { status: 409, code: 'task_closed' })
    const wrong = { agent: undefined, delegate: { issuer: 'nobody', subject: 'x' } }
    expectProblem(await delegate(wrong), { status: 400, code: 'invalid_request', field: 'delegate.issuer' })
  })
})
