import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type BrokerClient, ClientError, createBrokerClient, subjectTokenFrom } from '../../../src/client/index.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { inAnHour, operatorToken, workloadToken } from '../../support/wire-state.js'

const jwt = { type: 'jwt', token: 'minted.jwt.token', token_type: 'Bearer', expires_at: inAnHour } as const
const asked = { action: 'deploy.run', resource: 'repo:acme/web' }
let wire: WireServer
let client: BrokerClient

beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('deploy.run', { credential: jwt })
  client = clientFor(workloadToken)
})
afterEach(() => wire.close())

function clientFor(token: string, more: { timeoutMs?: number; maxAnswerBytes?: number; url?: string } = {}) {
  return createBrokerClient({ url: wire.url, tokenSource: subjectTokenFrom(() => token), ...more })
}

async function errorOf(call: Promise<unknown>): Promise<ClientError> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(ClientError)
  return error as ClientError
}

describe('a task and its credentials', () => {
  test('are opened with the subject token and ended with the task token alone', async () => {
    const opened = await client.openTask({ purpose: 'test', credentials: [asked] })
    expect(opened.credentials?.[0]?.credential).toEqual(jwt)
    const { receipts } = await clientFor('unused').completeTask(opened.task.id, {
      taskToken: opened.task_token,
      outcome: 'failed',
      waitSeconds: 3,
    })
    expect(receipts[0]?.outcome).toBe('confirmed')
    const [open, complete] = wire.seen
    expect(open?.headers.authorization).toBe(`Bearer ${workloadToken}`)
    expect(complete).toMatchObject({ query: { wait_seconds: '3' }, body: { outcome: 'failed' } })
    expect(complete?.headers.authorization).toBe(`Bearer ${opened.task_token}`)
  })

  test('are minted with the subject token, the task token only beside it', async () => {
    const { task, task_token: taskToken } = await client.openTask({ purpose: 'test' })
    await client.requestCredential(task.id, asked, { taskToken })
    const headers = wire.seen.at(-1)?.headers
    expect(headers?.authorization).toBe(`Bearer ${workloadToken}`)
    expect(headers?.['hallpass-task-token']).toBe(taskToken)
  })

  test('are asked for under a new idempotency key each time, or the one given', async () => {
    const { task } = await client.openTask({ purpose: 'test' })
    await client.requestCredential(task.id, asked)
    await client.requestCredential(task.id, asked)
    await client.requestCredential(task.id, asked, { idempotencyKey: 'mine' })
    const keys = wire.seen.map(({ headers }) => headers['idempotency-key'])
    expect(new Set(keys).size).toBe(4)
    expect(keys[3]).toBe('mine')
  })

  test('a dry run decides and mints nothing', async () => {
    const { task } = await client.openTask({ purpose: 'test' })
    expect((await client.dryRunCredential(task.id, asked)).decision.effect).toBe('permit')
    expect(wire.leases.size).toBe(0)
  })

  test('are shown, listed and released', async () => {
    const opened = await client.openTask({ purpose: 'test', credentials: [asked] })
    const leaseId = opened.credentials?.[0]?.lease.id ?? ''
    expect((await client.showTask(opened.task.id)).state).toBe('open')
    expect((await client.listTasks({ state: 'open' })).tasks).toHaveLength(1)
    expect((await client.releaseLease(leaseId)).outcome).toBe('confirmed')
    expect((await client.showLease(leaseId)).state).toBe('revoked')
    expect((await clientFor(operatorToken).listLeases({ action: 'deploy.run', limit: 5 })).leases).toHaveLength(1)
  })

  test('an id never leaves its path segment', async () => {
    await errorOf(client.showTask('../leases?x=1'))
    expect(wire.seen.at(-1)?.path).toBe('/v1/tasks/..%2Fleases%3Fx%3D1')
  })
})

describe('refusals and failures', () => {
  test('a problem document keeps its code, status, detail and members', async () => {
    wire.refused.set('deploy.run', 'denied')
    const error = await errorOf(client.openTask({ purpose: 'test', credentials: [asked] }))
    expect(error).toMatchObject({
      code: 'denied',
      status: 403,
      detail: 'no policy permits deploy.run on repo:acme/web',
    })
    expect(error.problem?.reason).toBe('no_permit')
    expect(error.requestId).toMatch(/^req_/)
  })

  test('Retry-After is read', async () => {
    const body = JSON.stringify({ type: 'about:blank', title: 'Busy', status: 503, code: 'busy', detail: 'later' })
    wire.faults.push({
      method: 'GET',
      path: '/v1/tasks',
      answer: { status: 503, headers: { 'retry-after': '7' }, body },
    })
    expect(await errorOf(client.listTasks())).toMatchObject({ code: 'busy', retryAfterSeconds: 7 })
  })

  test.each([
    ['a broken connection', { method: 'GET', path: '/v1/tasks', answer: 'drop' } as const, 'unavailable'],
    ['silence', { method: 'GET', path: '/v1/tasks', answer: 'never' } as const, 'unavailable'],
    ["a gateway's page", faultOf(502, '<html>bad gateway</html>'), 'unavailable'],
    ['a page that is no broker', faultOf(404, '<html>hello</html>'), 'invalid_answer'],
    ['a redirect', faultOf(302, '', { location: 'http://127.0.0.1:1/' }), 'invalid_answer'],
    [
      'an answer that breaks the contract',
      faultOf(200, '{"tasks":[{"id":"s3cret"}],"next_cursor":null}'),
      'invalid_answer',
    ],
    ['an approval that is wanted', faultOf(202, '{"approval":{}}'), 'approval_required'],
  ])('%s is a ClientError of its own code that quotes no answer', async (_, fault, code) => {
    wire.faults.push(fault)
    // Short only where it is what ends the wait, and longer than a busy machine stands still.
    const timeoutMs = fault.answer === 'never' ? 4000 : 60_000
    const error = await errorOf(clientFor(workloadToken, { timeoutMs }).listTasks())
    expect(error.code).toBe(code)
    expect(`${error.message}${JSON.stringify(error)}`).not.toMatch(/s3cret|html|workload\.subject/)
    expect(wire.seen).toHaveLength(1)
  })

  test('an answer larger than the cap is not read to its end', async () => {
    wire.faults.push(faultOf(200, 'x'.repeat(200_000)))
    const error = await errorOf(clientFor(workloadToken, { maxAnswerBytes: 1000 }).listTasks())
    expect(error.code).toBe('unavailable')
  })

  test('a broker that is not there is unavailable', async () => {
    // A port that nobody is given: that of a broker which has gone may be somebody else's the next moment.
    const error = await errorOf(clientFor(workloadToken, { url: 'http://127.0.0.1:1' }).listTasks())
    expect(error.code).toBe('unavailable')
    expect(error.detail).toContain('ECONNREFUSED')
  })

  test.each(['http://broker.acme.example', 'ftp://127.0.0.1', 'https://user:pw@broker.example', 'nonsense'])(
    'tokens are not sent to %s',
    (url) => {
      expect(() => clientFor(workloadToken, { url })).toThrow(/expected an https:\/\/ URL/)
    },
  )
})

describe('orders of operators', () => {
  test('are given, followed and paged', async () => {
    await client.openTask({ purpose: 'test', credentials: [asked, asked] })
    const operator = clientFor(operatorToken)
    const dry = await operator.createRevocation({ target: { all: true }, reason: 'drill', dry_run: true })
    expect(dry).toEqual({ id: null, matched: 2 })
    const { id } = await operator.createRevocation({ target: { all: true }, reason: 'drill' })
    expect((await operator.showRevocation(id ?? '')).state).toBe('running')
    const done = await operator.showRevocation(id ?? '', { waitSeconds: 1 })
    expect(done).toMatchObject({ state: 'done', matched: 2, next_cursor: '1' })
    expect((await operator.showRevocation(id ?? '', { cursor: '1' })).receipts).toHaveLength(1)
  })
})

function faultOf(status: number, body: string, headers: Record<string, string> = {}) {
  return { method: 'GET', path: '/v1/tasks', answer: { status, headers, body } }
}
