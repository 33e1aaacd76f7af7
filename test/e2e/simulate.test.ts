// Simulation and replay on running programs: the call, its refusals, the commands, and what is kept of policy sets.
import { readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { millisecondsOf, quickestOf } from '../support/wall-time.js'
import { buy, expectProblem, openTask, report, until } from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("on-call-simulates")
permit (principal in Group::"on-call", action == Action::"operate.simulate", resource is Broker);

@id("planners-simulate")
permit (principal is Operator, action == Action::"operate.simulate", resource is Broker)
when { principal has roles && principal.roles.contains("planner") };
`
const next = policies.replace('@id("workloads-read")', '@id("workloads-read") @max_ttl("30s")')
const without = policies.replace(/@id\("ci-deploys"\)[^;]*;/, '')

let stack: Stack
let operator: string
let token: string
beforeAll(async () => {
  stack = await startStack({ policies })
  operator = await stack.operatorToken()
  token = await stack.ciToken()
})
afterAll(() => stack?.stop())

const deploy = { action: 'deploy.run', resource: 'repo:acme/web' }
const principal = {
  issuer: 'ci',
  subject: 'repo:acme/web:ref:refs/heads/main',
  attributes: { repository: 'acme/web' },
}
const simulate = (body: object, as = operator) => stack.call('POST', '/v1/policy/simulate', { token: as, body })
/** Of each program that takes rules into force. */
const folders = () =>
  readdirSync(join(stack.directory, 'audit')).map((chain) => join(stack.directory, 'audit', chain, 'policy-sets'))
const sets = () => [...new Set(folders().flatMap((folder) => readdirSync(folder)))]

test('what was decided by two sets, across a reload and two programs, replays equal, and both sets are kept', async () => {
  const task = await openTask(stack, token)
  await buy(stack, token, task, report)
  await buy(stack, token, task, deploy)
  const refused = { action: 'deploy.run', resource: 'repo:acme/web', ttl_seconds: 60, context: { x: 1 } }
  await stack.call('POST', `${task.path}/credentials`, { token, body: refused })
  expect(sets()).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.json$/)])
  const [file = ''] = sets()
  for (const folder of folders()) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600)
  // In one step: whoever reads between the file and its text would take an empty set into force.
  const [policy = ''] = readdirSync(join(stack.directory, 'policies'))
  writeFileSync(join(stack.directory, 'next.cedar'), next)
  renameSync(join(stack.directory, 'next.cedar'), join(stack.directory, 'policies', policy))
  await until(
    async () => sets().length,
    (count) => count === 2,
  )
  const loaded = async () =>
    stack.auditRecords().filter(({ event, chain }) => event === 'rules.loaded' && /serve/.test(chain))
  await until(loaded, (records) => records.length > 0)
  expect((await buy(stack, token, task, report)).lease).toMatch(/^lease_/)
  const replay = await stack.run('audit', 'replay', '--output', 'json')
  expect(replay).toMatchObject({ code: 0 })
  expect(JSON.parse(replay.stdout)).toMatchObject({ ok: true, decisions: 3, equal: 3, unequal: [] })
  expect((await stack.run('audit', 'verify')).code).toBe(0)
})

test('a candidate against what was recorded, by the call and by the command', async () => {
  const answer = await simulate({ recorded: {}, policies: { 'main.cedar': without } })
  expect(answer).toMatchObject({ status: 200, body: { decisions: 3, losses: 1, gains: 0, next_cursor: null } })
  expect(answer.body.groups).toMatchObject([
    { kind: 'loss', account: 'ci:1296269', action: 'deploy.run', after: { reason: 'no_permit' }, decisions: 1 },
    ...((answer.body.groups as unknown[]) ?? []).slice(1).map(() => ({ kind: 'change' })),
  ])
  const [record] = stack.auditRecords().filter(({ event }) => event === 'policy.simulated')
  expect(record).toMatchObject({ actor: 'staff:olga', candidate: answer.body.candidate })
  const folder = join(stack.directory, 'policies-next')
  const { mkdirSync } = await import('node:fs')
  mkdirSync(folder)
  writeFileSync(join(folder, 'main.cedar'), without)
  const command = ['policy', 'simulate', '--candidate', folder]
  const ran = await stack.run(...command, '--recorded', '--fail-on', 'loss', '--output', 'json')
  expect(ran.code).toBe(1)
  expect(JSON.parse(ran.stdout)).toMatchObject({ decisions: 3, losses: 1, candidate: answer.body.candidate })
  expect((await stack.run(...command, '--recorded', '--fail-on', 'gain')).code).toBe(0)
  const one = [...command, '--principal', 'ci:x', '--action', 'deploy.run', '--resource', 'repo:acme/web']
  expect(await stack.run(...one)).toMatchObject({ code: 1, stdout: expect.stringMatching(/would lose: effect/) })
  expect(await stack.run(...command)).toMatchObject({ code: 2, stderr: expect.stringMatching(/say what to simulate/) })
})

const never = 'forbid (principal, action == Action::"report.read", resource) when { context.task.depth < 0 };'

test('one request; a candidate that is none names file and line; whoever may not is told so', async () => {
  const request = { principal, ...deploy }
  expect(await simulate({ request, policies: { 'main.cedar': without } })).toMatchObject({
    status: 200,
    body: { change: 'loss', before: { effect: 'permit', policies: ['ci-deploys'] }, after: { effect: 'deny' } },
  })
  const broken = await simulate({
    request,
    policies: { 'web/x.cedar': '\n@id("x") permit (principal, action, nothing);' },
  })
  expectProblem(broken, { status: 400, code: 'invalid_request' })
  expect(broken.body.errors).toMatchObject([
    { field: 'policies', message: expect.stringMatching(/^web\/x\.cedar:2: /) },
  ])
  expectProblem(await simulate({ request, recorded: {} }), { status: 400, code: 'invalid_request' })
  const intern = await stack.operatorToken({ groups: ['interns'] })
  expectProblem(await simulate({ request }, intern), { status: 403, code: 'not_permitted' })
  expectProblem(await simulate({ request }, token), { status: 403, code: 'not_permitted' })
  // A folder of some hundred policies, and one that is too much.
  const folder = Array.from({ length: 600 }, (_, i) => `// ${'x'.repeat(100)}\n@id("p${i}") ${never}\n`).join('')
  expect(folder.length).toBeGreaterThan(64 << 10)
  expect(await simulate({ request, policies: { 'main.cedar': without, 'more.cedar': folder } })).toMatchObject({
    status: 200,
    body: { change: 'loss' },
  })
  const large = await simulate({ request, policies: { 'main.cedar': '// '.repeat(400_000) } })
  expectProblem(large, { status: 413, code: 'too_large' })
})

test('whoever may simulate and nothing else learns nothing of what is live or was decided', async () => {
  const planner = await stack.operatorToken({ groups: ['planner'] })
  const candidate = { policies: { 'main.cedar': without } }
  expect(await simulate({ request: { principal, ...deploy }, ...candidate }, planner)).toMatchObject({ status: 200 })
  for (const what of [{ recorded: {} }, { live: {} }]) {
    expectProblem(await simulate({ ...what, ...candidate }, planner), { status: 403, code: 'not_permitted' })
    expect(await simulate({ ...what, ...candidate })).toMatchObject({ status: 200 })
  }
  const refused = stack.auditRecords().filter(({ event }) => event === 'operator.refused')
  expect(refused.map(({ action }) => action)).toEqual(expect.arrayContaining(['operate.audit', 'operate.view']))
})

test('a candidate that takes Cedar long keeps nobody else waiting', async () => {
  const term = '(principal has account && principal.account == "x" && context.binding == "dpop")'
  const condition = `[${Array.from({ length: 650 }, () => term).join(', ')}].contains(true)`
  const heavy = `@id("heavy") forbid (principal is Workload, action in [Action::"read", Action::"write", Action::"deploy"], resource) when { ${condition} };`
  // The longest wait of somebody else, as a part of the whole; a stall of the machine's spoils one try, not each.
  const longestShare = async () => {
    let isOver = false
    const simulated = simulate({ request: { principal, ...deploy }, policies: { 'main.cedar': heavy } }).finally(() => {
      isOver = true
    })
    let longest = 0
    let answered = 0
    const begun = performance.now()
    while (!isOver) {
      longest = Math.max(longest, await millisecondsOf(() => stack.call('GET', '/healthz', {})))
      answered++
    }
    expect(await simulated).toMatchObject({ status: 200, body: { change: 'loss' } })
    return answered > 3 ? longest / (performance.now() - begun) : 1
  }
  expect(await quickestOf(longestShare, 0.5, 5)).toBeLessThan(0.5)
})
