// Delegation over the wire and on the command line: what a delegate gets, what it is refused and what is written of that, and
// that `exec` within `exec` makes a chain.
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { hallpassProgram, type Stack, startStack } from '../support/stack.js'
import { type StackSettings, stackPolicies } from '../support/stack-settings.js'
import {
  buy,
  expectProblem,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  type Refused,
  report,
  until,
} from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("on-call-locks")
permit (principal in Group::"on-call", action in [Action::"operate.lock", Action::"operate.unlock"], resource);

@id("spies-read-nothing")
forbid (principal in Group::"suspended", action, resource);
`
const pull = { action: 'pull_request.open', resource: 'repo:acme/web' }

let stack: Stack
let ledger: LedgerView
let boss: string
let helper: string
beforeAll(async () => {
  // How often a test asks until something has changed is the machine's affair.
  const limits = { account: { requests_per_minute: 100_000 } }
  const settings = (base: StackSettings) => ({ ...base, limits, groups: { ...base.groups, suspended: [] } })
  stack = await startStack({ policies, settings })
  ledger = lookIntoLedger(stack)
  boss = await stack.ciToken()
  helper = await stack.svid()
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const toHelper = { delegate: { issuer: 'prod', subject: 'spiffe://prod.acme.example/agent/ana/coder' } }
const hand = (task: OpenedTask, token: string, body: object = {}) =>
  stack.call('POST', `${task.path}/delegations`, {
    token,
    body: { ...toHelper, ceiling: [report], ttl_seconds: 60, ...body },
  })
const idOf = ({ body }: Answer) => (body.delegation as { id: string }).id

async function aPair(body: object = {}) {
  const parent = await openTask(stack, boss)
  const delegation = idOf(await hand(parent, boss, body))
  const child = await openTask(stack, helper, { delegation })
  return { parent, child, delegation }
}

const recordsOf = (answer: Answer) =>
  stack.auditRecords().filter((record) => record.request_id === answer.headers['x-request-id'])

/** Refused as told, on record, with no lease and no task more than before. */
async function expectRefused(call: () => Promise<Answer>, refused: Refused, event: string, members: object = {}) {
  const before = [await ledger.leaseIds(), await ledger.taskIds()]
  const answer = await call()
  expectProblem(answer, refused)
  expect(answer.body).toMatchObject(members)
  expect([await ledger.leaseIds(), await ledger.taskIds()]).toEqual(before)
  expect(recordsOf(answer).map((record) => [record.event, record.code])).toEqual([[event, refused.code]])
}

test('a delegate works below its parent: the credential names the chain, and completing above answers for below', async () => {
  const { parent, child } = await aPair()
  const shown = await stack.call('GET', child.path, { token: helper })
  expect(shown.body).toMatchObject({ parent: parent.id, depth: 1 })
  const { lease, secret } = await buy(stack, helper, child, report)
  expect(await introspect(stack, helper, secret)).toMatchObject({
    active: true,
    act: {
      sub: 'prod:spiffe://prod.acme.example/agent/ana/coder',
      act: { sub: 'ci:repo:acme/web:ref:refs/heads/main' },
    },
  })
  const completed = await stack.call('POST', `${parent.path}/complete?wait_seconds=10`, { token: boss, body: {} })
  expect(completed.body.receipts).toMatchObject([{ lease_id: lease, outcome: 'confirmed' }])
  expect(await introspect(stack, helper, secret)).toEqual({ active: false })
  expect((await stack.call('GET', child.path, { token: helper })).body).toMatchObject({ state: 'ended' })
})

describe('refused, on record, and nothing comes of it', () => {
  const openWith = (delegation: string, token = helper) =>
    stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x', delegation } })

  test('reused, forwarded, unknown', async () => {
    const { delegation } = await aPair()
    await expectRefused(() => openWith(delegation), { status: 409, code: 'already_issued' }, 'request.refused')
    const fresh = idOf(await hand(await openTask(stack, boss), boss))
    const other = await stack.svid('/agent/ben/coder')
    const absent = { status: 404, code: 'not_found' }
    await expectRefused(() => openWith(fresh, other), absent, 'request.refused')
    await expectRefused(() => openWith(`dlg_${'0'.repeat(26)}`), absent, 'request.refused')
    expect((await openWith(fresh)).status).toBe(201)
  })

  test('widened, of unknown things, back up the chain, of a task of others', async () => {
    const { parent, child } = await aPair()
    const cases: [object, Refused, object?][] = [
      [{ ceiling: [report, pull] }, { status: 403, code: 'denied' }, { reason: 'outside_ceiling' }],
      [
        { ceiling: [{ ...report, action: 'report.burn' }] },
        { status: 404, code: 'unknown_action', field: 'ceiling.0.action' },
      ],
      [
        { ceiling: [report, { ...report, resource: 'repo:x/y' }] },
        { status: 404, code: 'unknown_resource', field: 'ceiling.1.resource' },
      ],
    ]
    for (const [body, refused, members] of cases) {
      await expectRefused(
        () => hand(child, helper, { ...body, delegate: undefined, agent: 'a' }),
        refused,
        'request.refused',
        members,
      )
    }
    const up = { delegate: { issuer: 'ci', subject: 'repo:acme/web:ref:refs/heads/main' } }
    const back = idOf(await hand(child, helper, up))
    await expectRefused(() => openWith(back, boss), { status: 403, code: 'not_permitted' }, 'request.refused')
    await expectRefused(() => hand(parent, helper), { status: 404, code: 'not_found' }, 'request.refused')
  })

  test.each([
    ['an empty ceiling', { ceiling: [] }, 'ceiling'],
    ['a ceiling of 51 pairs', { ceiling: Array.from({ length: 51 }, () => report) }, 'ceiling'],
    ['a pattern', { ceiling: [{ ...report, resource: 'repo:acme/*' }] }, 'ceiling.0.resource'],
    ['more than 15 minutes', { ttl_seconds: 901 }, 'ttl_seconds'],
    ['two kinds of delegate', { agent: 'both' }, 'delegate'],
    ['no name of an issuer', { delegate: { issuer: 'CI', subject: 'x' } }, 'delegate.issuer'],
    ['no name of an agent', { delegate: undefined, agent: 'no spaces' }, 'agent'],
  ])('%s is a 400 that names the field', async (_, body, field) => {
    const task = await openTask(stack, boss)
    const answer = await hand(task, boss, body)
    expectProblem(answer, { status: 400, code: 'invalid_request', field })
    const isRecorded = /^(ceiling|delegate|agent)/.test(field)
    expect(recordsOf(answer).map(({ code }) => code)).toEqual(isRecorded ? ['invalid_request'] : [])
  })

  test('outside the ceiling; denied for whoever stands above by a group of now', async () => {
    const { child } = await aPair()
    const ask = (asked: object) => stack.call('POST', `${child.path}/credentials`, { token: helper, body: asked })
    const denied = { status: 403, code: 'denied' }
    await expectRefused(() => ask(pull), denied, 'decision.denied', { reason: 'outside_ceiling' })
    const config = JSON.parse(readFileSync(stack.configFile, 'utf8'))
    const suspended = ['ci:repo:acme/web:ref:refs/heads/main']
    // Tried out: what is bought while the rules have not come yet counts against the task's most leases.
    const effect = async () => {
      const tried = await stack.call('POST', `${child.path}/credentials?dry_run=true`, { token: helper, body: report })
      return (tried.body.decision as { effect?: string } | undefined)?.effect
    }
    writeFileSync(stack.configFile, JSON.stringify({ ...config, groups: { ...config.groups, suspended } }))
    await until(effect, (seen) => seen === 'deny', 30)
    await expectRefused(() => ask(report), denied, 'decision.denied', {
      reason: 'forbidden',
      denied_for: suspended[0],
      decision: { policies: ['spies-read-nothing'] },
    })
    writeFileSync(stack.configFile, JSON.stringify(config))
    await until(effect, (seen) => seen === 'permit', 30)
    expect((await ask(report)).status).toBe(201)
  })

  test('a lock on the principal above stops and revokes what is below', async () => {
    const { child } = await aPair()
    const { secret } = await buy(stack, helper, child, report)
    const operator = await stack.operatorToken()
    const target = { principal: 'ci:repo:acme/web:ref:refs/heads/main' }
    const lock = await stack.call('POST', '/v1/locks', { token: operator, body: { target, reason: 'laptop stolen' } })
    expect(lock.status).toBe(201)
    await until(
      () => introspect(stack, helper, secret),
      ({ active }) => active === false,
      30,
    )
    const ask = () => stack.call('POST', `${child.path}/credentials`, { token: helper, body: report })
    await expectRefused(ask, { status: 403, code: 'locked', detail: /laptop stolen/ }, 'request.refused')
    await stack.call('DELETE', `/v1/locks/${lock.body.id}`, { token: operator })
    expect((await ask()).status).toBe(201)
  })
})

describe("a sub-agent's token", () => {
  test('opens its task, buys there, and is good for nothing else', async () => {
    const parent = await openTask(stack, boss)
    const sibling = await openTask(stack, boss)
    const handed = await hand(parent, boss, { delegate: undefined, agent: 'reviewer' })
    const token = String(handed.body.delegation_token)
    const own = await openTask(stack, token)
    const { lease, secret } = await buy(stack, token, own, report)
    const bought = await buy(stack, boss, parent, report)
    expect(await introspect(stack, boss, secret)).toMatchObject({ act: { agent: 'reviewer' } })
    expect((await stack.call('GET', own.path, { token })).body).toMatchObject({ agent: 'reviewer', parent: parent.id })
    for (const path of [parent.path, sibling.path, `/v1/leases/${bought.lease}`]) {
      expectProblem(await stack.call('GET', path, { token }), { status: 404, code: 'not_found' })
    }
    for (const path of ['/v1/tasks', '/v1/whoami']) {
      expectProblem(await stack.call('GET', path, { token }), { status: 401, code: 'invalid_token' })
    }
    const again = () => stack.call('POST', '/v1/tasks', { token, body: { purpose: 'a second one' } })
    await expectRefused(again, { status: 409, code: 'already_issued' }, 'request.refused')
    const onward = () => hand(own, token, { delegate: undefined, agent: 'b' })
    await expectRefused(onward, { status: 403, code: 'not_permitted' }, 'request.refused')
    const wider = () => stack.call('POST', `${own.path}/credentials`, { token, body: pull })
    await expectRefused(wider, { status: 403, code: 'denied' }, 'decision.denied', { reason: 'outside_ceiling' })
    expect((await stack.call('DELETE', `/v1/leases/${lease}`, { token })).status).toBe(200)
    expect(JSON.stringify(stack.auditRecords())).not.toContain(token)
  })
})

describe('exec within exec', () => {
  const exec = [process.execPath, hallpassProgram, 'exec', '--action', 'report.read', '--resource', 'repo:acme/web']
  const outerExec = ['exec', '--action', 'report.read', '--resource', 'repo:acme/web']

  test('makes a chain, three deep, which ends from the inside out', async () => {
    const inner = [...exec, '--keep-identity', '--', ...exec, '--', process.execPath, '-e', '']
    const ran = await stack.runAs(boss, ...outerExec, '--keep-identity', '--', ...inner)
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    const opened = stack.auditRecords().filter(({ event }) => event === 'task.opened')
    const [first, second, third] = opened.slice(-3)
    expect([first?.depth, second?.depth, third?.depth]).toEqual([0, 1, 2])
    expect([first?.parent, second?.parent, third?.parent]).toEqual([null, first?.task, second?.task])
    const ended = stack.auditRecords().filter(({ event }) => event === 'task.ended')
    expect(ended.slice(-3).map(({ task }) => task)).toEqual([third?.task, second?.task, first?.task])
  })

  test('without an identity inside says what to set, and the outer one is given back', async () => {
    const ran = await stack.runAs(boss, ...outerExec, '--', ...exec, '--', process.execPath, '-e', '')
    expect(ran.code).toBe(125)
    const [, outer] = /already inside (task_[0-9a-z]{26}), .*--keep-identity/.exec(ran.stderr) ?? []
    expect(outer).toMatch(/^task_/)
    const events = stack.auditRecords().flatMap((one) => (one.task === outer ? [one.event] : []))
    expect(events).toEqual(expect.arrayContaining(['lease.issued', 'lease.ended', 'task.ended']))
  })

  test('inside a task that is pinned to a key says that it is', async () => {
    const pinned = [...outerExec, '--dpop', '--keep-identity', '--']
    const ran = await stack.runAs(boss, ...pinned, ...exec, '--', process.execPath, '-e', '')
    expect(ran.code).toBe(125)
    expect(ran.stderr).toMatch(/already inside task_[0-9a-z]{26}, .*--dpop/)
  })

  test('a sub-agent runs with what task delegate printed', async () => {
    const parent = await openTask(stack, boss)
    const allow = ['--agent', 'nightly', '--allow', 'report.read=repo:acme/web']
    const printed = await stack.runAs(boss, 'task', 'delegate', parent.id, ...allow)
    const [name = '', token = ''] = printed.stdout.trim().split('=')
    expect(name).toBe('HALLPASS_DELEGATION_TOKEN')
    process.env[name] = token
    const ran = await stack.run(...outerExec, '--', process.execPath, '-e', '').finally(() => delete process.env[name])
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    const [opened] = stack.auditRecords().filter(({ event, agent }) => event === 'task.opened' && agent === 'nightly')
    expect(opened).toMatchObject({ parent: parent.id, depth: 1 })
  })
})
