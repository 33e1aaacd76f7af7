// Section 4's "strict", row by row, over the wire: a clear problem, the field named, nothing minted, nothing lost, no 5xx.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
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
  type Refused,
  report,
} from '../support/wire-checks.js'

let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask
let before: { leases: string[]; tasks: string[] }
const seen: string[] = []

beforeAll(async () => {
  stack = await startStack()
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
})
afterAll(async () => {
  ledger.close()
  await stack.stop()
})
const held = async () => ({ leases: await ledger.leaseIds(), tasks: await ledger.taskIds() })
beforeEach(async () => {
  before = await held()
})
afterEach(async () => {
  expect(await held()).toEqual(before)
  expect((await stack.call('GET', task.path, { token })).body.state).toBe('open')
})

async function send(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const answer = await stack.call(method, path, { token, ...options })
  seen.push(answer.text)
  return answer
}

const purchase = () => `${task.path}/credentials`
const bad = (field: string, detail?: RegExp): Refused => ({
  status: 400,
  code: 'invalid_request',
  field,
  ...(detail ? { detail } : {}),
})
const json = { 'content-type': 'application/json' }

describe('a body that is not strictly what the call takes', () => {
  const opening = (members: string) => `{"purpose":"x",${members}}`
  const rows: [name: string, call: 'open' | 'buy' | 'complete', body: unknown, refused: Refused][] = [
    ['an unknown key', 'open', opening('"admin":true'), bad('admin', /not a known field/)],
    [
      'an unknown key below',
      'open',
      opening('"credentials":[{"action":"a","resource":"b:c","x":1}]'),
      bad('credentials.0.x'),
    ],
    ['a later milestone’s key', 'open', opening('"delegation":"dlg_1"'), bad('delegation')],
    ['a duplicate key', 'open', opening('"purpose":"y"'), bad('purpose', /more than once/)],
    ['a duplicate key, escaped', 'open', opening('"\\u0070urpose":"y"'), bad('purpose', /more than once/)],
    [
      'a nested duplicate',
      'buy',
      '{"action":"report.read","resource":"repo:acme/web","context":{"a":1,"a":2}}',
      bad('context.a'),
    ],
    [
      '__proto__',
      'buy',
      '{"action":"report.read","resource":"repo:acme/web","__proto__":{"ttl_seconds":9}}',
      bad('__proto__'),
    ],
    [
      '__proto__ in the context',
      'buy',
      '{"action":"report.read","resource":"repo:acme/web","context":{"__proto__":1}}',
      bad('context.__proto__'),
    ],
    ['constructor', 'open', opening('"constructor":{"prototype":{}}'), bad('constructor')],
    ['a missing member', 'open', {}, bad('purpose')],
    ['a purpose that is a number', 'open', { purpose: 7 }, bad('purpose')],
    ['a purpose that is null', 'open', { purpose: null }, bad('purpose')],
    ['an empty purpose', 'open', { purpose: '' }, bad('purpose')],
    ['an over-long purpose', 'open', { purpose: 'x'.repeat(501) }, bad('purpose')],
    ['a control character', 'open', { purpose: 'line\nbreak' }, bad('purpose')],
    ['a NUL', 'open', '{"purpose":"a\\u0000b"}', bad('purpose')],
    ['a lone surrogate', 'open', '{"purpose":"a\\ud800b"}', bad('purpose')],
    ['a ttl that is a text', 'open', { purpose: 'x', ttl_seconds: '60' }, bad('ttl_seconds')],
    ['a ttl of half a second', 'open', { purpose: 'x', ttl_seconds: 0.5 }, bad('ttl_seconds')],
    ['a ttl of nothing', 'open', { purpose: 'x', ttl_seconds: 0 }, bad('ttl_seconds')],
    ['a negative ttl', 'buy', { ...report, ttl_seconds: -1 }, bad('ttl_seconds')],
    [
      'an infinite ttl',
      'buy',
      '{"action":"report.read","resource":"repo:acme/web","ttl_seconds":1e999}',
      bad('ttl_seconds'),
    ],
    ['no credentials in the list', 'open', { purpose: 'x', credentials: [] }, bad('credentials')],
    ['too many credentials', 'open', { purpose: 'x', credentials: Array(21).fill(report) }, bad('credentials')],
    ['an action that is none', 'buy', { ...report, action: 'Report Read' }, bad('action')],
    ['a resource in capitals', 'buy', { ...report, resource: 'repo:ACME/web' }, bad('resource')],
    ['a resource over-long', 'buy', { ...report, resource: `repo:${'a'.repeat(300)}` }, bad('resource')],
    ['a context that is a list', 'buy', { ...report, context: [] }, bad('context')],
    ['an undeclared context member', 'buy', { ...report, context: { branch: 'x' } }, bad('context.branch')],
    [
      'a context of the wrong type',
      'buy',
      { action: 'pull_request.open', resource: 'repo:acme/web', context: { branch: 1 } },
      bad('context.branch'),
    ],
    [
      'a context off its pattern',
      'buy',
      { action: 'pull_request.open', resource: 'repo:acme/web', context: { branch: 'A b' } },
      bad('context.branch'),
    ],
    [
      'a context that is missing',
      'buy',
      { action: 'database.migrate', resource: 'database:orders' },
      bad('context.change_type'),
    ],
    [
      'a context none of its choices',
      'buy',
      { action: 'database.migrate', resource: 'database:orders', context: { change_type: 'drop' } },
      bad('context.change_type'),
    ],
    ['an approval id that is none', 'buy', { ...report, approval_id: 'appr_1' }, bad('approval_id')],
    ['an unknown outcome', 'complete', { outcome: 'exploded' }, bad('outcome')],
    ['a list', 'open', '[]', bad('body')],
    ['a text', 'open', '"purpose"', bad('body')],
    ['null', 'open', 'null', bad('body')],
    ['not JSON', 'open', '{purpose:1}', bad('body', /not JSON/)],
    ['two values', 'open', '{"purpose":"x"}{}', bad('body')],
    ['a comment', 'open', '{"purpose":"x"/**/}', bad('body')],
    ['a cut text', 'open', '{"purpose":"x', bad('body')],
    ['a byte order mark', 'open', '\ufeff{"purpose":"x"}', bad('body', /byte order mark/)],
    ['deep nesting', 'open', `{"purpose":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, bad('body', /nested/)],
    ['an empty body', 'open', '', bad('purpose')],
  ]
  test.each(rows)('%s', async (_name, call, body, refused) => {
    const path = { open: '/v1/tasks', buy: purchase(), complete: `${task.path}/complete` }[call]
    expectProblem(await send('POST', path, { body }), refused)
  })

  test('text that is not UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from('{"purpose":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])
    const response = await fetch(`${stack.url}/v1/tasks`, {
      method: 'POST',
      headers: { ...json, authorization: `Bearer ${token}` },
      body: bytes,
    })
    const text = await response.text()
    const answer = {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      text,
      body: JSON.parse(text),
    }
    expectProblem(answer, bad('body', /UTF-8/))
  })
})

describe('a content type, an encoding or a size that is not taken', () => {
  const media: Refused = { status: 415, code: 'unsupported_media_type' }
  const large: Refused = { status: 413, code: 'too_large' }
  const good = '{"purpose":"x"}'
  const rows: [name: string, options: CallOptions, refused: Refused][] = [
    ['a form', { body: 'purpose=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, media],
    ['text', { body: good, headers: { 'content-type': 'text/plain' } }, media],
    ['another charset', { body: good, headers: { 'content-type': 'application/json; charset=utf-16' } }, media],
    ['a list of types', { body: good, headers: { 'content-type': 'application/json, text/plain' } }, media],
    ['no type', { body: good, headers: { 'content-type': '' } }, media],
    ['gzip', { body: good, headers: { 'content-encoding': 'gzip' } }, media],
    ['a body by its length too large', { body: { purpose: 'x'.repeat(70_000) } }, large],
    [
      'a chunked body too large',
      {
        body: `{"purpose":"${'x'.repeat(300_000)}"}`,
        headers: { 'content-length': [], 'transfer-encoding': 'chunked' },
      },
      large,
    ],
  ]
  test.each(rows)('%s', async (_name, options, refused) => {
    expectProblem(await send('POST', '/v1/tasks', options), refused)
  })

  test('a charset may be said', async () => {
    const headers = { 'content-type': 'application/json; charset="UTF-8"' }
    expectProblem(await send('POST', '/v1/tasks', { body: '{}', headers }), bad('purpose'))
  })

  test('a body where none is taken', async () => {
    const lease = `/v1/leases/lease_${'0'.repeat(26)}`
    expectProblem(await send('DELETE', lease, { body: {} }), { status: 400, code: 'invalid_request', field: 'body' })
  })
})

test('no answer held a token or a stack, and neither does what the programs logged', () => {
  expect(seen.length).toBeGreaterThan(50)
  for (const text of seen) expectNothingInternal(text)
  for (const program of [stack.programs.serve, stack.programs.worker]) {
    const logged = program?.output() ?? ''
    expect(logged).not.toContain(token)
    expect(logged).not.toContain(task.token)
    expectNoFailureLogged(logged)
  }
})
