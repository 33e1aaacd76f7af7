// Tool calls over the wire: bad input, whose task it is, the cap, no secret anywhere; and the audit read back by owner, task
// token and operators, over HTTP and by the commands.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { type Stack, startStack } from '../support/stack.js'
import type { StackSettings } from '../support/stack-settings.js'
import { stackPolicies } from '../support/stack-settings.js'
import {
  buy,
  expectProblem,
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
let operator: string

/** Who audits one repository's records alone. */
const webAuditor = `
@id("web-auditor")
permit (principal in Issuer::"staff", action == Action::"operate.audit", resource == Repo::"repo:acme/web")
when { principal has roles && principal.roles.contains("web") };
`

beforeAll(async () => {
  stack = await startStack({
    policies: stackPolicies + webAuditor,
    settings: (base: StackSettings) => ({ ...base, limits: { task: { events: 6 } } }),
  })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  operator = await stack.operatorToken()
  task = await openTask(stack, token)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const aCall = (over: object = {}) => ({ type: 'tool_call', tool: 'psql', outcome: 'ok', ...over })
const tell = (of: OpenedTask, events: unknown, as = of.token) =>
  stack.call('POST', `${of.path}/events`, { token: as, body: { events } })
const timelineOf = async (of: OpenedTask, as: string) =>
  (await stack.call('GET', `${of.path}/timeline`, { token: as })).body
const eventsOf = (body: Record<string, unknown>) => (body.records as { event: string }[]).map(({ event }) => event)
const recordsOf = (answer: Answer) =>
  stack.auditRecords().filter((record) => record.request_id === answer.headers['x-request-id'])

describe('what is refused', () => {
  const long = 'x'.repeat(2001)
  test.each<[string, unknown, string]>([
    ['none', [], 'events'],
    ['too many', Array.from({ length: 101 }, () => aCall()), 'events'],
    ['no list', aCall(), 'events'],
    ['another type', [aCall({ type: 'decision' })], 'events.0.type'],
    ['no tool', [{ type: 'tool_call', outcome: 'ok' }], 'events.0.tool'],
    ['an escape sequence', [aCall({ tool: 'a\u001b[2J' })], 'events.0.tool'],
    ['no outcome', [{ type: 'tool_call', tool: 'x' }], 'events.0.outcome'],
    ['an outcome that is a sentence', [aCall({ outcome: 'it went well' })], 'events.0.outcome'],
    ['an action of no form', [aCall({ action: 'Repo Read' })], 'events.0.action'],
    ['a resource of no form', [aCall({ resource: 'web' })], 'events.0.resource'],
    ['a time of no form', [aCall({ at: 'yesterday' })], 'events.0.at'],
    ['a long detail', [aCall({ detail: long })], 'events.0.detail'],
    ['a deep detail', [aCall({ detail: { a: { b: 1 } } })], 'events.0.detail'],
    [
      'a wide detail',
      [aCall({ detail: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`k${i}`, i])) })],
      'events.0.detail',
    ],
    ['a list as detail', [aCall({ detail: ['x'] })], 'events.0.detail'],
    ['a claim to be verified', [aCall({ claimed: false })], 'events.0.claimed'],
    ['somebody else', [aCall({ principal: 'ci:other' })], 'events.0.principal'],
  ])('%s', async (_name, events, field) => {
    const answer = await tell(task, events)
    expectProblem(answer, { status: 400, code: 'invalid_request', field })
    expect(recordsOf(answer)).toEqual([])
  })

  test('on another’s task: the same 404 as for one that is not there, and written down', async () => {
    const stranger = await stack.ciToken({ run_id: '200' })
    const foreign = await tell(task, [aCall()], stranger)
    const unknown = await stack.call('POST', `/v1/tasks/task_${'0'.repeat(26)}/events`, {
      token,
      body: { events: [aCall()] },
    })
    for (const answer of [foreign, unknown]) expectProblem(answer, { status: 404, code: 'not_found' })
    expect(foreign.body.detail).toBe(unknown.body.detail)
    expect(recordsOf(foreign)).toMatchObject([{ event: 'request.refused', code: 'not_found', task: task.id }])
    const read = await stack.call('GET', `${task.path}/timeline`, { token: stranger })
    expectProblem(read, { status: 404, code: 'not_found' })
    expect(stack.auditRecords().filter(({ event }) => event === 'tool.called')).toEqual([])
  })

  test('past the cap: 429, all of the call, recorded once; once the task has ended: 409', async () => {
    const own = await openTask(stack, token)
    expect(
      (
        await tell(
          own,
          Array.from({ length: 5 }, () => aCall()),
        )
      ).body,
    ).toEqual({ recorded: 5, remaining: 1, redacted: 0 })
    const refused = await tell(own, [aCall(), aCall()])
    expectProblem(refused, { status: 429, code: 'quota', detail: /limits\.task\.events.*1 more/, retryAfter: true })
    expect(recordsOf(refused)).toMatchObject([{ event: 'request.refused', code: 'quota', task: own.id }])
    expect(recordsOf(await tell(own, [aCall(), aCall()]))).toEqual([])
    expect((await tell(own, [aCall()])).status).toBe(200)
    await stack.call('POST', `${own.path}/complete`, { token, body: {} })
    expectProblem(await tell(own, [aCall()]), { status: 409, code: 'task_closed' })
    expect(
      stack.auditRecords().filter((record) => record.event === 'tool.called' && record.task === own.id),
    ).toHaveLength(6)
  })
})

test('no secret of an event is in the audit, in Redis, in an answer or in a log', async () => {
  const own = await openTask(stack, token)
  const { secret } = await buy(stack, token, own, report)
  const others = [
    'AKIAABCDEFGHIJKLMNOP',
    `hvs.${'Ab1'.repeat(20)}`,
    `ghp_${'a1B2'.repeat(9)}`,
    'hunter2hunter2',
    own.token,
  ]
  const detail = `Bearer ${secret} then ${others.slice(0, 3).join(',')} and postgres://app:${others[3]}@db/x ${own.token}`
  const answer = await tell(
    own,
    [aCall({ detail }), aCall({ tool: `curl ${secret.slice(0, 100)}` }), aCall({ detail: { password: others[3] } })],
    token,
  )
  expect(answer.body).toMatchObject({ recorded: 3, redacted: 3 })
  const told = await until(
    () => timelineOf(own, own.token),
    (body) => eventsOf(body).filter((event) => event === 'tool.called').length === 3,
    30,
  )
  const lists = await Promise.all(['t:*:t?', 'audit:*'].map((pattern) => ledger.keysOf(pattern)))
  const inRedis = await Promise.all(lists.flat().map((key) => ledger.redis.lrange(key, '0', '-1')))
  expect(inRedis.flat().length).toBeGreaterThan(5)
  const logged = Object.values(stack.programs).map((program) => program.lastWords())
  for (const where of [stack.auditRecords(), inRedis, told, logged]) {
    for (const one of [...others, secret, secret.slice(-40)]) expect(JSON.stringify(where).includes(one)).toBe(false)
  }
  expect(JSON.stringify(told)).toContain('[redacted:jwt]')
})

describe('reading', () => {
  let own: OpenedTask
  let lease: string
  beforeAll(async () => {
    own = await openTask(stack, token, { purpose: 'a story' })
    lease = (await buy(stack, token, own, report)).lease
    await tell(own, [aCall({ action: 'report.read', resource: 'repo:acme/web' })])
    const denied = await stack.call('POST', `${own.path}/credentials`, {
      token,
      body: { action: 'deploy.run', resource: 'repo:acme/web', ttl_seconds: 60 },
    })
    expect(denied.status).toBe(201)
    const order = { target: { task: own.id }, reason: 'enough of it' }
    expect((await stack.call('POST', '/v1/revocations', { token: operator, body: order })).status).toBe(202)
    await until(
      () => stack.auditRecords(),
      (all) => all.filter(({ event, task: of }) => event === 'lease.ended' && of === own.id).length === 2,
      30,
    )
  })

  /** All that is recorded of the task itself; an order to revoke is of nobody's. */
  const isWhole = (events: string[]) =>
    ['lease.reserved', 'lease.issued', 'lease.ending', 'lease.ended'].every(
      (event) => events.filter((one) => one === event).length === 2,
    ) && ['task.opened', 'tool.called', 'task.ended'].every((event) => events.includes(event))

  test.each(['its owner', 'its task token', 'an operator'])('the timeline, by %s', async (who) => {
    const as = who === 'its owner' ? token : who === 'an operator' ? operator : own.token
    const told = await until(
      () => timelineOf(own, as),
      // The worker's records and the broker's own are copied there each by itself: any of them may be the last.
      (body) => isWhole(eventsOf(body)) && eventsOf(body).includes('revocation.ordered'),
      30,
    )
    expect(told).toMatchObject({ task: own.id, complete: true })
    expect(eventsOf(told).slice(0, 3)).toEqual(['task.opened', 'lease.reserved', 'lease.issued'])
    expect(new Set(eventsOf(told))).toEqual(
      new Set([
        'task.opened',
        'lease.reserved',
        'lease.issued',
        'tool.called',
        'revocation.ordered',
        'lease.ending',
        'lease.ended',
        'task.ended',
      ]),
    )
    expect(JSON.stringify(told)).not.toMatch(/sealed_handle|fingerprints|token_sha256/)
  })

  test('the newest records of all programs, filtered and in pages', async () => {
    const get = async (query: string, as = operator) =>
      (await stack.call('GET', `/v1/audit?${query}`, { token: as })).body
    const all = await until(
      () => get(`task=${own.id}&limit=1000`),
      (body) => isWhole(eventsOf(body)),
      30,
    )
    expect(all.window).toMatchObject({ covers: expect.stringContaining('hallpass audit show'), most_records: 5000 })
    const named = (body: Record<string, unknown>) =>
      (body.records as { instance: string; seq: number }[]).map(({ instance, seq }) => `${instance} ${seq}`)
    const paged: string[] = []
    let cursor = ''
    do {
      const page = await get(`task=${own.id}&limit=3${cursor}`)
      expect((page.records as object[]).length).toBeLessThanOrEqual(3)
      paged.push(...named(page))
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`
    } while (cursor !== '')
    // Each once; within a page by time, over pages as they arrived.
    expect([...paged].sort()).toEqual([...named(all)].sort())
    expect(eventsOf(await get(`task=${own.id}&type=lease`)).sort()).toEqual([
      'lease.ended',
      'lease.ended',
      'lease.ending',
      'lease.ending',
      'lease.issued',
      'lease.issued',
      'lease.reserved',
      'lease.reserved',
    ])
    const claimed = await get(`task=${own.id}&type=tool.called`)
    expect(claimed.records).toMatchObject([{ claimed: true, tool: 'psql', action: 'report.read' }])
    expect(eventsOf(await get('account=ci%3A0'))).toEqual([])
    const programs = new Set(
      ((await get('limit=1000')).records as { instance: string }[]).map(({ instance }) => instance),
    )
    expect(programs).toEqual(new Set(['test-serve', 'test-worker']))
    const { time } = (all.records as { time: string }[])[0] as { time: string }
    // Several may be of the newest one's millisecond.
    const newest = (all.records as { time: string }[]).filter((record) => record.time === time).length
    expect(newest).toBeLessThan(named(all).length)
    expect(named(await get(`task=${own.id}&from=${time}&limit=1000`))).toEqual(named(all).slice(0, newest))
    expect(named(await get(`task=${own.id}&to=${time}&limit=1000`))).toEqual(named(all).slice(newest))
    // One who audits a single repository sees the records that name it.
    const seen = (await get('limit=1000', await stack.operatorToken({ groups: ['web'] }))).records as {
      event: string
    }[]
    expect(new Set(seen.map(({ event }) => event))).toEqual(new Set(['lease.reserved', 'tool.called']))
  })

  test.each([
    ['task=x', 'task'],
    ['type=Lease', 'type'],
    ['from=yesterday', 'from'],
    ['cursor=eA', 'cursor'],
    ['limit=0', 'limit'],
    ['colour=green', 'colour'],
    ['task=a&task=b', 'task'],
  ])('GET /v1/audit?%s', async (query, field) => {
    expectProblem(await stack.call('GET', `/v1/audit?${query}`, { token: operator }), {
      status: 400,
      code: 'invalid_request',
      field,
    })
  })

  test('by the commands: from the files, from the broker, and with an event of their own', async () => {
    const files = await stack.run('audit', 'timeline', own.id)
    expect(files.code).toBe(0)
    expect(files.stdout).toContain(`ISSUED ${lease}`)
    expect(files.stdout).toContain('claimed: psql → ok (report.read on repo:acme/web)')
    expect(files.stdout.replace(/\s+/g, ' ')).toContain(`revoke task ${own.id} by staff:olga "enough of it"`)
    const wire = await stack.runAs(operator, 'audit', 'timeline', own.id, '--url', stack.url)
    expect(wire).toMatchObject({ code: 0, stdout: files.stdout })
    const json = await stack.run('audit', 'timeline', own.id, '--output', 'json')
    expect(JSON.parse(json.stdout)).toMatchObject({ task: own.id, complete: true })
    const shown = await stack.run('audit', 'show', '--task', own.id, '--type', 'lease.issued', '--output', 'json')
    expect(JSON.parse(shown.stdout)).toMatchObject({ matched: 2 })
    expect((await stack.run('audit', 'show', '--type', 'No')).code).toBe(2)
    expect((await stack.run('audit', 'timeline', 'task_x')).code).toBe(2)
    expect((await stack.run('audit', 'timeline', `task_${'0'.repeat(26)}`)).code).toBe(1)
    const event = await stack.runAs(
      token,
      'task',
      'event',
      task.id,
      '--tool',
      'make',
      '--outcome',
      'ok',
      '--detail',
      'token=abc',
    )
    expect(event).toMatchObject({ code: 0, stdout: expect.stringContaining('recorded') })
    const called = stack.auditRecords().filter((record) => record.event === 'tool.called')
    expect(called.at(-1)).toMatchObject({
      tool: 'make',
      detail: 'token=[redacted:value]',
    })
  })
})
