// Queries, headers, ids and HTTP itself, as an attacker sends them. Each is a problem with its request id; nothing changes.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer, CallOptions } from '../../scripts/demo/http-call.js'
import { type Stack, startStack } from '../support/stack.js'
import {
  expectNoFailureLogged,
  expectNothingInternal,
  expectProblem,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  type RawAnswer,
  report,
  sendRaw,
} from '../support/wire-checks.js'

let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask
let toComplete: OpenedTask

beforeAll(async () => {
  stack = await startStack()
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
  toComplete = await openTask(stack, token)
})
afterAll(async () => {
  ledger.close()
  await stack.stop()
})

const send = (method: string, path: string, options: CallOptions = {}): Promise<Answer> =>
  stack.call(method, path, { token, ...options })
const purchase = () => `${task.path}/credentials`

describe('a query or a header that is not taken', () => {
  const rows: [name: string, method: string, path: () => string, options: CallOptions, field: string][] = [
    ['an unknown parameter', 'POST', () => '/v1/tasks?debug=1', { body: { purpose: 'x' } }, 'debug'],
    ['an unknown one at a purchase', 'POST', () => `${purchase()}?force=true`, { body: report }, 'force'],
    ['a repeated parameter', 'POST', () => `${purchase()}?dry_run=false&dry_run=true`, { body: report }, 'dry_run'],
    ['a flag that is none', 'POST', () => `${purchase()}?dry_run=yes`, { body: report }, 'dry_run'],
    ['__proto__ in a query', 'GET', () => `${task.path}?__proto__=1`, {}, '__proto__'],
    ['an array in a query', 'POST', () => `${purchase()}?dry_run[]=true`, { body: report }, 'dry_run[]'],
    [
      'more than a minute’s wait',
      'POST',
      () => `${toComplete.path}/complete?wait_seconds=61`,
      { body: {} },
      'wait_seconds',
    ],
    [
      'a wait that is no number',
      'POST',
      () => `${toComplete.path}/complete?wait_seconds=soon`,
      { body: {} },
      'wait_seconds',
    ],
    ['an empty wait', 'POST', () => `${toComplete.path}/complete?wait_seconds=`, { body: {} }, 'wait_seconds'],
    [
      'a wait in hexadecimal',
      'POST',
      () => `${toComplete.path}/complete?wait_seconds=0x10`,
      { body: {} },
      'wait_seconds',
    ],
    ['a negative wait', 'POST', () => `${toComplete.path}/complete?wait_seconds=-1`, { body: {} }, 'wait_seconds'],
    ['a limit of none', 'GET', () => '/v1/tasks?limit=0', {}, 'limit'],
    ['a limit too large', 'GET', () => '/v1/tasks?limit=1001', {}, 'limit'],
    ['a state that is none', 'GET', () => '/v1/tasks?state=closed', {}, 'state'],
    ['a cursor not of ours', 'GET', () => '/v1/tasks?cursor=Zm9v', {}, 'cursor'],
    [
      'an over-long Idempotency-Key',
      'POST',
      purchase,
      { body: report, headers: { 'idempotency-key': 'k'.repeat(129) } },
      'Idempotency-Key',
    ],
    [
      'an Idempotency-Key with a space',
      'POST',
      purchase,
      { body: report, headers: { 'idempotency-key': 'a b' } },
      'Idempotency-Key',
    ],
    [
      'an empty Idempotency-Key',
      'POST',
      purchase,
      { body: report, headers: { 'idempotency-key': '' } },
      'Idempotency-Key',
    ],
    [
      'two Idempotency-Keys',
      'POST',
      purchase,
      { body: report, headers: { 'idempotency-key': ['a', 'b'] } },
      'Idempotency-Key',
    ],
  ]
  test.each(rows)('%s', async (_name, method, path, options, field) => {
    expectProblem(await send(method, path(), options), { status: 400, code: 'invalid_request', field })
  })
})

describe('an id that is none, or a path that is none', () => {
  const id = '0'.repeat(26)
  const paths = [
    '/v1/tasks/task_x:l',
    `/v1/tasks/task_${id}:l`,
    `/v1/tasks/task_${id}%2F..`,
    `/v1/tasks/task_${id}%00`,
    `/v1/tasks/task_${id}%0d%0a`,
    `/v1/tasks/TASK_${id}`,
    `/v1/tasks/lease_${id}`,
    '/v1/tasks/*',
    '/v1/tasks/..%2Fleases',
    `/v1/tasks/task_${id}`,
    `/v1/leases/lease_${id}`,
    '/v1/leases/__proto__',
    '/v1/tasks/',
    '//v1/tasks',
    '/V1/TASKS',
    '/v1/tasks/a/b',
    '/',
  ]
  test.each(paths)('GET %s is a 404', async (path) => {
    expectProblem(await send('GET', path), { status: 404, code: 'not_found' })
  })

  test('a path that cannot be decoded is a 400', async () => {
    expectProblem(await send('GET', '/v1/tasks/%zz'), { status: 400, code: 'invalid_request' })
  })

  test('an unknown id, a malformed one and one of another kind have the same answer', async () => {
    const details = await Promise.all(
      [`task_${id}`, 'task_x:l', `lease_${id}`].map(async (one) => (await send('GET', `/v1/tasks/${one}`)).body),
    )
    expect(new Set(details.map((body) => JSON.stringify(body))).size).toBe(1)
  })
})

describe('HTTP that is broken, or unusual', () => {
  const host = () => `Host: ${new URL(stack.url).host}`
  const raw = (...lines: string[]) => sendRaw(stack.url, `${lines.join('\r\n')}\r\n\r\n`)
  const authorized = () => [host(), `Authorization: Bearer ${token}`]

  const expectRaw = (answer: RawAnswer, status: number, code: string) => {
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code })
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers['x-request-id']).toMatch(/^req_[0-9a-z]{26}$/)
    expectNothingInternal(answer.text)
  }

  const broken: [name: string, lines: () => string[], status: number, code: string][] = [
    ['garbage', () => ['\x00\x01 garbage \xff'], 400, 'invalid_request'],
    ['TLS at a plain port', () => ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'], 400, 'invalid_request'],
    ['a header of 40 KiB', () => ['GET /healthz HTTP/1.1', host(), `X: ${'x'.repeat(40 << 10)}`], 431, 'too_large'],
    ['a space before the colon', () => ['GET /healthz HTTP/1.1', 'Host : x'], 400, 'invalid_request'],
    ['a tunnel', () => ['CONNECT hallpass.acme.example:443 HTTP/1.1', host()], 400, 'invalid_request'],
    ['no Host', () => ['GET /healthz HTTP/1.1', 'Accept: */*'], 400, 'invalid_request'],
    [
      'two lengths (request smuggling)',
      () => ['POST /v1/tasks HTTP/1.1', ...authorized(), 'Content-Length: 2', 'Content-Length: 30'],
      400,
      'invalid_request',
    ],
    [
      'a length and chunks (request smuggling)',
      () => ['POST /v1/tasks HTTP/1.1', ...authorized(), 'Content-Length: 4', 'Transfer-Encoding: chunked'],
      400,
      'invalid_request',
    ],
    [
      'a length below nothing',
      () => ['POST /v1/tasks HTTP/1.1', ...authorized(), 'Content-Length: -1'],
      400,
      'invalid_request',
    ],
    [
      'two Authorization headers',
      () => ['GET /v1/tasks HTTP/1.1', ...authorized(), 'Authorization: Bearer x'],
      401,
      'invalid_token',
    ],
    ['two Hosts', () => ['GET /healthz HTTP/1.1', host(), 'Host: evil'], 400, 'invalid_request'],
    ['a path that climbs', () => ['GET /v1/tasks/../leases HTTP/1.1', ...authorized()], 404, 'not_found'],
    ['PUT', () => ['PUT /v1/tasks HTTP/1.1', ...authorized(), 'Content-Length: 0'], 404, 'not_found'],
    ['PATCH', () => [`PATCH ${task.path} HTTP/1.1`, ...authorized(), 'Content-Length: 0'], 404, 'not_found'],
    ['OPTIONS', () => ['OPTIONS /v1/tasks HTTP/1.1', ...authorized()], 404, 'not_found'],
    ['TRACE', () => ['TRACE /v1/tasks HTTP/1.1', ...authorized()], 404, 'not_found'],
    [
      'an expectation of nobody',
      () => ['POST /v1/tasks HTTP/1.1', ...authorized(), 'Expect: a-miracle', 'Content-Length: 0'],
      400,
      'invalid_request',
    ],
  ]
  test.each(broken)('%s', async (_name, lines, status, code) => {
    expectRaw(await raw(...lines()), status, code)
  })

  test('HEAD says what GET would, without a body', async () => {
    const answer = await raw(`HEAD ${task.path} HTTP/1.1`, ...authorized())
    expect(answer.status).toBe(200)
    expect(answer.headers['x-request-id']).toMatch(/^req_/)
    expect(answer.text.split('\r\n\r\n')[1]).toBe('')
    expect((await raw('HEAD /v1/tasks HTTP/1.1', host())).status).toBe(401)
  })

  test('a chunked body that never ends is cut off with a 413 while it is still being sent', async () => {
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const answer = await sendRaw(
      stack.url,
      `${['POST /v1/tasks HTTP/1.1', ...authorized(), 'Content-Type: application/json', 'Transfer-Encoding: chunked'].join('\r\n')}\r\n\r\n${chunk.repeat(3)}`,
    )
    expectRaw(answer, 413, 'too_large')
  })

  test('what follows a refused request on the same connection is read as a request of its own', async () => {
    const first = ['POST /v1/tasks HTTP/1.1', host(), 'Authorization: Bearer no', 'Content-Length: 37'].join('\r\n')
    // The body of the first looks like a request: whoever loses count would carry it out.
    const answer = await sendRaw(stack.url, `${first}\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n-`)
    expect(answer.status).toBe(401)
    expect(answer.text).not.toContain('"alive"')
  })
})

test('after all of it nothing was minted or lost, nothing failed inside, and no log holds a token', async () => {
  expect(await ledger.leaseIds()).toEqual([])
  expect(await ledger.taskIds()).toEqual([task.id, toComplete.id].sort())
  for (const { path } of [task, toComplete]) expect((await send('GET', path)).body.state).toBe('open')
  for (const program of [stack.programs.serve, stack.programs.worker]) {
    expect(program?.output()).not.toContain(token)
    expectNoFailureLogged(program?.output() ?? '')
  }
})
