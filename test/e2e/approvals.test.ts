// Approvals over the wire: 202, who may read them, waiting by long poll and by events, answers, lists.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { approvalList, approval as approvalShape, openTaskApprovalsAnswer } from '../../src/api/approvals.js'
import { type Stack, startStack } from '../support/stack.js'
import { stackGrants, stackPolicies } from '../support/stack-settings.js'
import { expectProblem, type OpenedTask, openTask, until } from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("ship") @approval("on-call:2") @approval_timeout("10m")
permit (principal in Issuer::"ci", action == Action::"ship.run", resource);
@id("brief") @approval("on-call:1") @approval_timeout("8s")
permit (principal in Issuer::"ci", action == Action::"ship.brief", resource);
@id("approvers-approve")
permit (principal in Group::"approvers", action == Action::"operate.approve", resource is Repo);
@id("on-call-approves")
permit (principal in Group::"on-call", action == Action::"operate.approve", resource);
`
const grant = { ...stackGrants['deploy.run'], access: 'admin' }
const repo = 'repo:acme/web'
const ship = { action: 'ship.run', resource: repo }

let stack: Stack
let token: string
let task: OpenedTask
let olga: string
let pete: string
beforeAll(async () => {
  stack = await startStack({
    policies,
    settings: (base) => ({
      ...base,
      groups: { ...base.groups, approvers: [{ issuer: 'staff', where: { roles: 'approvers' } }] },
      grants: { ...base.grants, 'ship.run': grant, 'ship.brief': grant },
    }),
  })
  token = await stack.ciToken()
  task = await openTask(stack, token)
  olga = await stack.operatorToken()
  pete = await stack.operatorToken({ sub: 'pete', email: 'pete@acme.example' })
})
afterAll(() => stack?.stop())

const ask = (body: object, on = task) => stack.call('POST', `${on.path}/credentials`, { token, body })
const approvalIn = (answer: Answer) => approvalShape.parse(answer.body.approval)
async function asked(body: object = ship): Promise<string> {
  const answer = await ask(body)
  expect(answer.status).toBe(202)
  return approvalIn(answer).id
}
const answerAs = (who: string, id: string, vote: string, reason = 'looked at it') =>
  stack.call('POST', `/v1/approvals/${id}/${vote}`, { token: who, body: { reason } })

test('opening a task once more with the same key is the same task and the same approvals, and no other body', async () => {
  const headers = { 'idempotency-key': `open-${Date.now()}` }
  const open = (purpose: string) =>
    stack.call('POST', '/v1/tasks', { token, headers, body: { purpose, credentials: [ship] } })
  const first = await open('to ship')
  expect(first.status).toBe(202)
  const again = await open('to ship')
  expect(again.status).toBe(202)
  const [one, two] = [first, again].map((answer) => openTaskApprovalsAnswer.parse(answer.body))
  expect([two?.task.id, two?.approvals.map(({ id }) => id)]).toEqual([one?.task.id, one?.approvals.map(({ id }) => id)])
  expectProblem(await open('to ship more'), { status: 422, code: 'idempotency_mismatch' })
  expect(
    stack.auditRecords().filter(({ event, task: of }) => event === 'lease.reserved' && of === one?.task.id),
  ).toEqual([])
  await stack.call('POST', `/v1/tasks/${one?.task.id}/complete`, { token, body: {} })
  expectProblem(await open('to ship'), { status: 409, code: 'already_issued' })
})

/** The events of an approval, each as it came. */
async function* eventsOf(id: string, as: string) {
  const response = await fetch(`${stack.url}/v1/approvals/${id}`, {
    headers: { authorization: `Bearer ${as}`, accept: 'text/event-stream' },
  })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString()
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
      text = text.slice(end + 2)
      if (data !== undefined) yield approvalShape.parse(JSON.parse(data))
    }
  }
}

test('a request waits for two people, is told of each answer, and is minted once', async () => {
  const answer = await ask(ship)
  expect(answer.status).toBe(202)
  const { id, ...shown } = approvalIn(answer)
  expect(shown).toMatchObject({
    task_id: task.id,
    state: 'pending',
    ...ship,
    ttl_seconds: 120,
    group: 'on-call',
    needed: 2,
    requirements: [{ group: 'on-call', needed: 2 }],
    votes: [],
    url: `${stack.url}/v1/approvals/${id}`,
    resource_attributes: { sensitivity: 'low', environment: 'staging' },
    policy: 'ship',
  })
  expect(Date.parse(shown.expires_at) - Date.parse(shown.requested_at)).toBe(600_000)
  const events: string[] = []
  const reading = (async () => {
    for await (const seen of eventsOf(id, token)) events.push(`${seen.state} ${seen.votes.length}`)
  })()
  const waiting = stack.call('GET', `/v1/approvals/${id}?wait_seconds=30`, { token: task.token })
  expect((await answerAs(olga, id, 'approve')).body.approval).toMatchObject({ state: 'pending' })
  await until(
    async () => events,
    (seen) => seen.includes('pending 1'),
    30,
  )
  const second = await answerAs(pete, id, 'approve', 'me too')
  expect(second.status).toBe(200)
  expect(approvalIn(second)).toMatchObject({
    state: 'approved',
    votes: [
      { by: 'staff:olga', person: 'olga@acme.example', vote: 'approve' },
      { by: 'staff:pete', reason: 'me too' },
    ],
  })
  expect((await waiting).body).toMatchObject({ id, state: 'approved' })
  await reading
  expect(events.at(-1)).toBe('approved 2')
  const bought = await ask({ ...ship, approval_id: id })
  expect(bought.status).toBe(201)
  expect(bought.body.decision).toMatchObject({ effect: 'permit', policies: ['ship'] })
  const lease = (bought.body.lease as { id: string }).id
  const after = await stack.call('GET', `/v1/approvals/${id}`, { token })
  expect(approvalShape.parse(after.body)).toMatchObject({ state: 'used', lease_id: lease, end_reason: 'minted' })
  const again = await ask({ ...ship, approval_id: id })
  expectProblem(again, { status: 409, code: 'already_issued' })
  expect(again.body.lease).toEqual({ id: lease })
})

test('a task with what needs people is opened without anything minted', async () => {
  const report = { action: 'report.read', resource: repo }
  const body = { purpose: 'release\u200b it', credentials: [report, ship] }
  const opened = await stack.call('POST', '/v1/tasks', { token, body })
  expect(opened.status).toBe(202)
  const { task: own, approvals } = openTaskApprovalsAnswer.parse(opened.body)
  expect(approvals).toMatchObject([{ task_id: own.id, ...ship, purpose_unverified: 'release it' }])
  const records = stack.auditRecords().filter((record) => record.task === own.id)
  expect(records.map(({ event }) => event)).toEqual(['task.opened', 'approval.requested'])
})

test('one that was given in another task opens none: 404, on record', async () => {
  const id = await asked({ ...ship, resource: 'repo:acme/elsewhere' })
  const credentials = [{ ...ship, resource: 'repo:acme/elsewhere', approval_id: id }]
  const refused = await stack.call('POST', '/v1/tasks', { token, body: { purpose: 'another', credentials } })
  expectProblem(refused, { status: 404, code: 'not_found' })
  const [record] = stack.auditRecords().filter((one) => one.request_id === refused.headers['x-request-id'])
  expect(record).toMatchObject({ event: 'request.refused', code: 'not_found', approval: id })
})

test('a dry run says so and asks nobody', async () => {
  const before = (await stack.call('GET', '/v1/approvals', { token })).body
  const listed = async (query: string) => (await stack.call('GET', `/v1/approvals?${query}`, { token })).body.approvals
  expect(before.approvals).not.toEqual([])
  expect(await listed(`action=${ship.action}`)).toEqual(before.approvals)
  for (const query of ['action=report.read', 'resource=repo:acme/none', 'principal=ci:nobody'])
    expect(await listed(query)).toEqual([])
  const answer = await stack.call('POST', `${task.path}/credentials?dry_run=true`, {
    token,
    body: { ...ship, resource: 'repo:acme/dry' },
  })
  expect(answer).toMatchObject({ status: 200, body: { decision: { effect: 'approval_required' }, ttl_seconds: 120 } })
  expect((await stack.call('GET', '/v1/approvals', { token })).body).toEqual(before)
})

describe('an approval is read', () => {
  test('by its owner, its task token and operators; for others it is not there, and that is on record', async () => {
    const id = await asked({ ...ship, resource: 'repo:acme/read' })
    const read = (as: string) => stack.call('GET', `/v1/approvals/${id}`, { token: as })
    for (const as of [token, task.token, olga]) expect((await read(as)).body).toMatchObject({ id, state: 'pending' })
    const otherRun = await stack.ciToken({ run_id: '999' })
    const otherTask = await openTask(stack, token)
    const intern = await stack.operatorToken({ sub: 'ivan', groups: ['interns'] })
    for (const as of [otherRun, otherTask.token, intern])
      expectProblem(await read(as), { status: 404, code: 'not_found' })
    const refused = stack.auditRecords().filter((record) => record.approval === id && record.code === 'not_found')
    expect(refused.map(({ event, principal }) => [event, principal])).toEqual([
      ['request.refused', 'ci:repo:acme/web:ref:refs/heads/main'],
      ['operator.refused', 'staff:ivan'],
    ])
    expectProblem(await stack.call('GET', `/v1/approvals/${id}?wait_seconds=61`, { token }), {
      status: 400,
      code: 'invalid_request',
      field: 'wait_seconds',
    })
  })

  test('in lists: by operators with filters and cursors, by a workload its own', async () => {
    const ids: string[] = []
    for (const name of ['l1', 'l2', 'l3']) ids.push(await asked({ ...ship, resource: `repo:acme/${name}` }))
    const list = async (as: string, query = '') => {
      const answer = await stack.call('GET', `/v1/approvals${query}`, { token: as })
      expect(answer.status).toBe(200)
      return approvalList.parse(answer.body)
    }
    const all = await list(olga, `?task=${task.id}&state=pending`)
    expect(all.approvals.slice(0, 3).map(({ id }) => id)).toEqual([...ids].reverse())
    const seen: string[] = []
    for (let query = '?limit=2'; query !== ''; ) {
      const page = await list(olga, query)
      seen.push(...page.approvals.map(({ id }) => id))
      query = page.next_cursor === null ? '' : `?limit=2&cursor=${page.next_cursor}`
    }
    const whole = (await list(olga)).approvals.map(({ id }) => id)
    expect(seen).toEqual(whole)
    expect((await list(olga, '?account=ci:nobody')).approvals).toEqual([])
    expect((await list(token)).approvals.map(({ id }) => id)).toEqual(expect.arrayContaining(ids))
    expect((await list(await stack.ciToken({ run_id: '999' }))).approvals).toEqual([])
    expectProblem(await stack.call('GET', '/v1/approvals?cursor=xyz', { token }), {
      status: 400,
      code: 'invalid_request',
      field: 'cursor',
    })
    // Whoever may approve, and nothing else, may look for what waits, also where nothing does.
    const approver = await stack.operatorToken({ groups: ['approvers'] })
    expect((await list(approver, '?state=pending')).approvals.map(({ id }) => id)).toEqual(expect.arrayContaining(ids))
    expect((await list(approver, '?account=ci:nobody')).approvals).toEqual([])
    const intern = await stack.operatorToken({ groups: ['interns'] })
    expectProblem(await stack.call('GET', '/v1/approvals', { token: intern }), { status: 403, code: 'not_permitted' })
    for (const id of ids) await answerAs(olga, id, 'deny')
    expect((await list(olga, '?state=denied')).approvals).toHaveLength(3)
  })
})

test('what is denied is refused, said why, and not asked again at once', async () => {
  const body = { ...ship, resource: 'repo:acme/denied' }
  const id = await asked(body)
  expect(approvalIn(await answerAs(olga, id, 'deny', 'not on a Friday'))).toMatchObject({
    state: 'denied',
    end_reason: 'voted',
  })
  expectProblem(await answerAs(pete, id, 'approve'), { status: 400, code: 'invalid_request', field: 'state' })
  expectProblem(await ask({ ...body, approval_id: id }), { status: 403, code: 'approval_required', detail: /denied/ })
  expectProblem(await ask(body), { status: 429, code: 'quota', retryAfter: true })
  expectProblem(await answerAs(await stack.operatorToken({ groups: ['interns'] }), id, 'approve'), {
    status: 403,
    code: 'not_permitted',
  })
})

test('the end of its time reaches whoever waits, and the audit', async () => {
  const id = await asked({ action: 'ship.brief', resource: repo })
  const states: string[] = []
  for await (const { state } of eventsOf(id, token)) states.push(state)
  expect(states).toEqual(['pending', 'expired'])
  const ended = () => stack.auditRecords().filter((one) => one.event === 'approval.expired' && one.approval === id)
  await until(
    async () => ended(),
    (records) => records.length > 0,
    30,
  )
  expect(ended()).toMatchObject([{ reason: 'time', task: task.id }])
})
