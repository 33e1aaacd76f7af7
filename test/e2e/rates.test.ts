// limits.account.requests_per_minute over the wire: each request that asks, and each that is refused, counts once, and nobody can
// fill the audit with what is refused to them.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { CallOptions } from '../../scripts/demo/http-call.js'
import { holderId } from '../../src/ledger/keys.js'
import { type Stack, startStack } from '../support/stack.js'
import { buy, expectProblem, type LedgerView, lookIntoLedger, openTask, report } from '../support/wire-checks.js'

const perMinute = 20
// However the minute turns under a flood: at most two windows' worth gets through.
const most = 2 * perMinute
const flood = 3 * perMinute + 1

let stack: Stack
let ledger: LedgerView

beforeAll(async () => {
  const limits = { account: { requests_per_minute: perMinute, open_tasks: 1000 } }
  stack = await startStack({ settings: (base) => ({ ...base, limits }) })
  ledger = lookIntoLedger(stack)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const nowhere = `task_${'0'.repeat(26)}`
const ciToken = (repository: string) => stack.ciToken({ repository_id: repository })
const holderOf = (account: string) => ledger.key(`h:${holderId('account', account)}`)
const recordsOf = (account: string) => stack.auditRecords().filter((record) => record.account === account)
/** As if the minute had turned for this account. */
const nextWindow = (account: string) => ledger.redis.hincrby(holderOf(account), 'rate:minute', -1)

/** By how much the work is counted for the account; begun anew where the minute turned meanwhile. */
async function counted(account: string, work: () => Promise<unknown>): Promise<number> {
  const read = async () => (await ledger.redis.hmget(holderOf(account), 'rate:minute', 'rate:count')).map(Number)
  for (let attempt = 0; attempt < 3; attempt++) {
    await nextWindow(account)
    // A request that counts for certain, so that there is a window.
    await stack.call('POST', '/v1/tasks', { token: await ciToken(account.slice(3)), body: {} })
    const [minute, before = 0] = await read()
    await work()
    const [after, count = 0] = await read()
    if (after === minute) return count - before
  }
  throw new Error('no window was seen whole')
}

const send = (method: string, path: string, token: string, options: CallOptions = {}) =>
  stack.call(method, path, { token, ...options })

describe('each request counts once', () => {
  test.each<[string, number, (token: string) => Promise<unknown>]>([
    ['a task', 1, async (token) => openTask(stack, token)],
    [
      'one that is asked for with two credentials',
      1,
      (token) => send('POST', '/v1/tasks', token, { body: { purpose: 'two', credentials: [report, report] } }),
    ],
    ['a body that cannot be read', 1, (token) => send('POST', '/v1/tasks', token, { body: '{' })],
    ['an unknown query parameter', 1, (token) => send('GET', '/v1/tasks?x=1', token)],
    [
      'a credential of an unknown action',
      1,
      (token) => send('POST', `/v1/tasks/${nowhere}/credentials`, token, { body: { ...report, action: 'no.such' } }),
    ],
    [
      'a credential in an unknown task',
      1,
      (token) => send('POST', `/v1/tasks/${nowhere}/credentials`, token, { body: report }),
    ],
    ['an unknown lease', 1, (token) => send('GET', `/v1/leases/lease_${'0'.repeat(26)}`, token)],
    ['an operators’ call', 1, (token) => send('GET', '/v1/locks', token)],
    ['a plan', 1, (token) => send('GET', '/v1/grants?resource=repo:acme/web', token)],
    ['reading one’s own', 0, (token) => send('GET', '/v1/tasks', token)],
  ])('%s', async (name, times, work) => {
    const repository = `1${name.length}`
    const token = await ciToken(repository)
    expect(await counted(`ci:${repository}`, () => work(token))).toBe(times)
  })

  test('a credential, and what gives it back or ends its task, not at all', async () => {
    const token = await ciToken('2')
    const task = await openTask(stack, token)
    let lease = ''
    const bought = async () => {
      lease = (await buy(stack, token, task, report)).lease
    }
    expect(await counted('ci:2', bought)).toBe(1)
    const given = async () => {
      expect((await send('DELETE', `/v1/leases/${lease}`, token)).status).toBe(200)
      expect((await send('POST', `${task.path}/complete`, token, { body: {} })).status).toBe(200)
    }
    expect(await counted('ci:2', given)).toBe(0)
  })
})

const floods: [
  name: string,
  method: string,
  path: string,
  options: CallOptions,
  refused: { status: number; code: string },
][] = [
  [
    'bodies with a wrong context',
    'POST',
    `/v1/tasks/${nowhere}/credentials`,
    { body: { ...report, context: { branch: 'x' } } },
    { status: 400, code: 'invalid_request' },
  ],
  [
    'bodies of another type',
    'POST',
    '/v1/tasks',
    { body: 'purpose=x', headers: { 'content-type': 'text/plain' } },
    { status: 415, code: 'unsupported_media_type' },
  ],
  [
    'bodies that are too large',
    'POST',
    '/v1/tasks',
    { body: { purpose: 'x'.repeat(70_000) } },
    { status: 413, code: 'too_large' },
  ],
  [
    'unknown actions',
    'POST',
    `/v1/tasks/${nowhere}/credentials`,
    { body: { ...report, action: 'no.such' } },
    { status: 404, code: 'unknown_action' },
  ],
  [
    'unknown resources',
    'POST',
    '/v1/tasks',
    { body: { purpose: 'x', credentials: [{ ...report, resource: 'repo:nobody/x' }] } },
    { status: 404, code: 'unknown_resource' },
  ],
  [
    'unknown delegations',
    'POST',
    '/v1/tasks',
    { body: { purpose: 'x', delegation: `dlg_${'0'.repeat(26)}` } },
    { status: 404, code: 'not_found' },
  ],
  [
    'operators’ calls',
    'POST',
    '/v1/revocations',
    { body: { target: { all: true }, reason: 'x' } },
    { status: 403, code: 'not_permitted' },
  ],
]

describe('a flood of one account that is refused', () => {
  test.each(floods)(
    '%s: 429 past the rate, and the audit stays small',
    async (name, method, path, options, refused) => {
      const account = `ci:3${name.length}`
      const [token, other] = [await ciToken(account.slice(3)), await ciToken(`4${name.length}`)]
      const answers = await Promise.all(Array.from({ length: flood }, () => send(method, path, token, options)))
      const over = answers.filter(({ status }) => status === 429)
      expect(over.length).toBeGreaterThanOrEqual(flood - most)
      for (const answer of over) {
        expectProblem(answer, { status: 429, code: 'rate', detail: /requests_per_minute/, retryAfter: true })
        expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(60)
      }
      for (const answer of answers.filter(({ status }) => status !== 429)) expectProblem(answer, refused)
      expect(recordsOf(account).length).toBeLessThanOrEqual(most)
      // Another account is unharmed, and so is this one in the next window.
      expect((await send('POST', '/v1/tasks', other, { body: { purpose: 'unharmed' } })).status).toBe(201)
      await nextWindow(account)
      expect((await send('POST', '/v1/tasks', token, { body: { purpose: 'later' } })).status).toBe(201)
    },
  )

  test('another’s task and lease; past the rate one’s own can still be read and ended', async () => {
    const [owner, thief] = [await ciToken('5'), await ciToken('6')]
    const [theirs, own] = [await openTask(stack, owner), await openTask(stack, thief)]
    const { lease } = await buy(stack, owner, theirs, report)
    const path = (i: number) => (i % 2 === 0 ? theirs.path : `/v1/leases/${lease}`)
    const answers = await Promise.all(Array.from({ length: flood }, (_, i) => send('GET', path(i), thief)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404, 429]))
    expect(recordsOf('ci:6').filter(({ event }) => event === 'request.refused').length).toBeLessThanOrEqual(most)
    expect((await send('GET', own.path, thief)).status).toBe(200)
    expect((await send('POST', `${own.path}/complete`, thief, { body: {} })).status).toBe(200)
    expect((await send('GET', theirs.path, owner)).body).toMatchObject({ state: 'open' })
  })

  test('an opening that is repeated with its key', async () => {
    const token = await ciToken('7')
    const headers = { 'idempotency-key': 'again' }
    const answers = []
    for (let i = 0; i < flood; i++)
      answers.push((await send('POST', '/v1/tasks', token, { body: { purpose: 'again' }, headers })).status)
    expect(new Set(answers)).toEqual(new Set([201, 409, 429]))
    // Two for each repeat: the opening again (whoever wrote it first may have died before it was on disk), and the refusal.
    expect(recordsOf('ci:7').length).toBeLessThanOrEqual(2 * most)
  })

  test('an operator who may nothing: refused and recorded within the rate; one who may is never slowed', async () => {
    const nosy = await stack.operatorToken({ sub: 'nosy', groups: [] })
    const order = { body: { target: { all: true }, reason: 'because' } }
    const answers = await Promise.all(Array.from({ length: flood }, () => send('POST', '/v1/revocations', nosy, order)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403, 429]))
    const refused = stack
      .auditRecords()
      .filter(({ event, actor }) => event === 'operator.refused' && actor === 'staff:nosy')
    expect(refused.length).toBeLessThanOrEqual(most)
    const may = await stack.operatorToken()
    const reads = await Promise.all(Array.from({ length: flood }, () => send('GET', '/v1/leases', may)))
    expect(new Set(reads.map(({ status }) => status))).toEqual(new Set([200]))
  })
})

test('what was only counted stands in the audit by account, once per interval', async () => {
  await stack.restart('serve')
  const records = stack.auditRecords().filter(({ event }) => event === 'callers.refused')
  const accounts = records.map((record) => record.accounts as Record<string, number> | undefined)
  for (const account of ['ci:6', 'ci:7', 'staff:nosy']) {
    const times = accounts.reduce((sum, of) => sum + (of?.[account] ?? 0), 0)
    expect(times).toBeGreaterThanOrEqual(flood - most - 1)
    expect(times).toBeLessThanOrEqual(flood)
  }
  expect(records.some(({ reasons }) => Object.keys(reasons as object).includes('rate'))).toBe(true)
  // Two programs' intervals at the most, however many were refused.
  expect(records.length).toBeLessThan(10)
})
