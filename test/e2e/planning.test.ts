// What an agent can find out before it asks: the catalogue, whether it may, and why not. Planning opens and mints nothing.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { runHallpass } from '../support/command-line.js'
import { type Stack, startStack } from '../support/stack.js'
import { type StackSettings, stackPolicies } from '../support/stack-settings.js'
import { expectProblem, type LedgerView, lookIntoLedger, openTask } from '../support/wire-checks.js'

const recipe = { audience: 'https://a.acme.example', verified_by: 'introspection' }
const grant = (more: object) => ({
  access: 'write',
  resource: 'repo',
  provider: 'tokens',
  ttl: { default: '5m', max: '30m' },
  recipe,
  ...more,
})
const settings = (base: StackSettings): StackSettings => ({
  ...base,
  grants: {
    ...base.grants,
    'repo.approved': grant({ access: 'admin', require: { approval: 'on-call:1' } }),
    'repo.none': grant({ access: 'admin' }),
    'repo.bound': grant({ access: 'admin', require: { binding: 'any' } }),
    // Permitted for one of the values that may be declared, after an approval.
    'repo.tagged': grant({
      access: 'admin',
      context: {
        kind: { type: 'string', one_of: ['draft', 'final'] },
        ticket: { type: 'string', pattern: 'OPS-[0-9]+', optional: true },
        dry: { type: 'boolean', optional: true },
      },
    }),
  },
  limits: { lease: { ttl: '20m' } },
})
const policies = `${stackPolicies}
@id("approved")
permit (principal in Issuer::"ci", action in [Action::"repo.approved", Action::"repo.bound"], resource);
@id("tagged") @approval("on-call:1")
permit (principal in Issuer::"ci", action == Action::"repo.tagged", resource)
when { context.declared.kind == "final" && context.declared has ticket };
`
const repo = 'repo:acme/web'

let stack: Stack
let ledger: LedgerView
let token: string
beforeAll(async () => {
  stack = await startStack({ settings, policies })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
})
afterAll(async () => {
  ledger.close()
  await stack.stop()
})

interface Row {
  action: string
  may?: string
  [member: string]: unknown
}
const grantsOf = async (query = '', as = token): Promise<Row[]> => {
  const answer = await stack.call('GET', `/v1/grants${query}`, { token: as })
  expect(answer.status).toBe(200)
  return answer.body.grants as Row[]
}
const mayOf = async (resource: string, as = token) =>
  Object.fromEntries((await grantsOf(`?resource=${resource}`, as)).map(({ action, may }) => [action, may]))

/** What planning must not leave behind. */
async function expectNothingMade(work: () => Promise<unknown>, events: readonly string[] = []): Promise<void> {
  const before = stack.auditRecords().length
  await work()
  const records = stack
    .auditRecords()
    .slice(before)
    // What programs write by themselves may come at any moment.
    .filter(({ event }) => !/^(broker|rules|callers)\./.test(event))
  expect(records.map(({ event }) => event)).toEqual(events)
  expect(await ledger.leaseIds()).toEqual([])
}

describe('GET /v1/grants', () => {
  test('lists what there is, with what must be declared, in the order of actions', async () => {
    const grants = await grantsOf()
    expect(grants.map(({ action }) => action)).toEqual([
      'database.migrate',
      'deploy.run',
      'offline.read',
      'pull_request.open',
      'repo.approved',
      'repo.bound',
      'repo.none',
      'repo.tagged',
      'report.read',
    ])
    expect(grants.find(({ action }) => action === 'repo.tagged')).toEqual({
      action: 'repo.tagged',
      access: 'admin',
      resource_type: 'repo',
      context: {
        kind: { type: 'string', one_of: ['draft', 'final'], optional: false },
        ticket: { type: 'string', pattern: 'OPS-[0-9]+', optional: true },
        dry: { type: 'boolean', optional: true },
      },
      // limits.lease.ttl holds whatever the grant says.
      ttl: { default_seconds: 300, min_seconds: 1, max_seconds: 1200 },
      revocation: 'immediate',
    })
    expect(grants.find(({ action }) => action === 'offline.read')?.revocation).toBe('natural_expiry')
  })

  test('of a resource: only what can be asked on it, and whether this caller may', async () => {
    await expectNothingMade(async () => {
      expect(await mayOf(repo)).toEqual({
        'deploy.run': 'yes',
        'offline.read': 'yes',
        'pull_request.open': 'yes',
        'repo.approved': 'approval',
        // Bound tokens alone: this one is not.
        'repo.bound': 'no',
        'repo.none': 'no',
        'repo.tagged': 'approval',
        'report.read': 'yes',
      })
      expect(await mayOf('database:orders')).toEqual({ 'database.migrate': 'yes' })
    })
    expect(await ledger.taskIds()).toEqual([])
  })

  test("another caller's answer is its own", async () => {
    const agent = await stack.svid()
    expect(await mayOf(repo, agent)).toMatchObject({ 'report.read': 'yes', 'deploy.run': 'no', 'repo.approved': 'no' })
  })

  test('pages, and refuses what it does not know', async () => {
    const first = await stack.call('GET', '/v1/grants?limit=4', { token })
    expect((first.body.grants as Row[]).length).toBe(4)
    const rest = await stack.call('GET', `/v1/grants?limit=5&cursor=${String(first.body.next_cursor)}`, { token })
    expect((rest.body.grants as Row[]).map(({ action }) => action)).toEqual([
      'repo.approved',
      'repo.bound',
      'repo.none',
      'repo.tagged',
      'report.read',
    ])
    expect(rest.body.next_cursor).toBeNull()
    const unknown = await stack.call('GET', '/v1/grants?resource=repo:nobody/web', { token })
    expectProblem(unknown, { status: 404, code: 'unknown_resource' })
    for (const query of [
      '?resource=Repo:x',
      '?limit=0',
      '?limit=1001',
      '?cursor=!',
      '?may=yes',
      `?resource=${repo}&resource=${repo}`,
    ]) {
      expectProblem(await stack.call('GET', `/v1/grants${query}`, { token }), { status: 400, code: 'invalid_request' })
    }
  })

  test('the contract says the same', async () => {
    const { body } = await stack.call('GET', '/openapi.json')
    const paths = body.paths as Record<string, { get: { parameters: { name: string }[] } }>
    expect(paths['/v1/grants']?.get.parameters.map(({ name }) => name).sort()).toEqual(['cursor', 'limit', 'resource'])
  })
})

const hallpass = (argv: string[], environment: Record<string, string> = {}) =>
  runHallpass(argv, { environment: { HALLPASS_URL: stack.url, HALLPASS_TOKEN: token, ...environment } })

describe('hallpass can and hallpass actions', () => {
  test('yes: 0, by which policy and for how long', async () => {
    await expectNothingMade(async () => {
      const { exitCode, stdout } = await hallpass(['can', 'deploy.run', repo, '--ttl', '90s'])
      expect(exitCode).toBe(0)
      expect(stdout).toMatch(
        /^yes: deploy\.run on repo:acme\/web by ci-deploys, for 90 s; decision dec_[0-9a-z]{26}\n$/,
      )
    })
    expect(await ledger.taskIds()).toEqual([])
  })

  test('no: 4, with the reason, what was verified, and a decision that the audit has', async () => {
    let printed = ''
    await expectNothingMade(async () => {
      const { exitCode, stdout } = await hallpass(['can', 'repo.none', repo])
      expect(exitCode).toBe(4)
      printed = stdout
    }, ['decision.denied'])
    expect(printed).toContain('no: denied (no_permit): no policy permits repo.none on repo:acme/web')
    expect(printed).toContain('verified: {"id":"ci:repo:acme/web:ref:refs/heads/main","attributes":{')
    const id = /decision (dec_[0-9a-z]{26})/.exec(printed)?.[1]
    expect(
      stack
        .auditRecords()
        .filter(({ event }) => event === 'decision.denied')
        .at(-1),
    ).toMatchObject({ decision: { id } })
    expect(await ledger.taskIds()).toEqual([])
  })

  test('a recorded decision is explained afterwards, denied or granted, from the audit alone', async () => {
    const { stdout } = await hallpass(['can', 'repo.tagged', repo, '--context', 'kind=draft', '--output', 'json'])
    const { decision } = JSON.parse(stdout) as { decision: { id: string } }
    const denied = await stack.run('policy', 'explain', decision.id)
    expect(denied).toMatchObject({ code: 0 })
    expect(denied.stdout).toContain(
      'denied (no_permit): repo.tagged on repo:acme/web for ci:repo:acme/web:ref:refs/heads/main',
    )
    expect(denied.stdout).toMatch(/note: it was decided deny \(no_permit\) at 20[0-9T:.-]+Z\n/)
    expect(denied.stdout).toMatch(/no +context\.declared\.kind == "final" +context\.declared\.kind: "draft"/)
    const bought = await stack.call('POST', '/v1/tasks', {
      token,
      body: { purpose: 'x', credentials: [{ action: 'deploy.run', resource: repo, ttl_seconds: 1000 }] },
    })
    const [credential] = bought.body.credentials as { decision: { id: string } }[]
    const granted = await stack.run('policy', 'explain', credential?.decision.id ?? '', '--output', 'json')
    expect(JSON.parse(granted.stdout)).toMatchObject({
      outcome: { effect: 'permit', ttl_seconds: 600 },
      determining: [{ id: 'ci-deploys', applies: true }],
      offers: [{ policy: 'ci-deploys', fate: 'taken' }],
    })
    await stack.call('POST', `/v1/tasks/${(bought.body.task as { id: string }).id}/complete?wait_seconds=10`, {
      token,
      body: {},
    })
    expect((await stack.run('policy', 'explain', `dec_${'0'.repeat(26)}`)).code).toBe(2)
  })

  test('an approval is wanted: 5; a binding is: 4', async () => {
    const { exitCode, stdout } = await hallpass(['can', 'repo.approved', repo, '--output', 'json'])
    expect({ exitCode, printed: JSON.parse(stdout) }).toMatchObject({ exitCode: 5, printed: { may: 'approval' } })
    const bound = await hallpass(['can', 'repo.bound', repo, '--output', 'json'])
    expect({ exitCode: bound.exitCode, printed: JSON.parse(bound.stdout) }).toMatchObject({
      exitCode: 4,
      printed: {
        may: 'no',
        code: 'binding_required',
        decision: { id: expect.any(String) },
        principal: { id: expect.any(String) },
      },
    })
  })

  test('what is declared counts, and is checked', async () => {
    expect(
      (await hallpass(['can', 'repo.tagged', repo, '--context', 'kind=final', '--context', 'ticket=OPS-1'])).exitCode,
    ).toBe(5)
    expect((await hallpass(['can', 'repo.tagged', repo, '--context', 'kind=draft'])).exitCode).toBe(4)
    const { exitCode, stderr } = await hallpass(['can', 'repo.tagged', repo, '--context', 'kind=other'])
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('context.kind') })
    expect((await hallpass(['can', 'repo.burn', repo])).exitCode).toBe(1)
  })

  test('actions lists the same for people and programs', async () => {
    const { exitCode, stdout } = await hallpass(['actions', '--resource', repo])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^action +access +resource +ttl +revocation +context +may\n/)
    expect(stdout).toMatch(
      /repo\.tagged +admin +repo +300 s \(1 to 1200\) +immediate +kind=draft\|final ticket\?=OPS-\[0-9\]\+ dry\?=boolean +approval/,
    )
    const json = JSON.parse((await hallpass(['actions', '--output', 'json'])).stdout)
    expect(json.grants).toHaveLength(9)
    expect(json.grants[0]).not.toHaveProperty('may')
  })

  test('within a task it is the next request of that task', async () => {
    const task = await openTask(stack, token)
    const environment = { HALLPASS_TASK: task.id, HALLPASS_TASK_TOKEN: task.token }
    const migrated = await stack.call('POST', `${task.path}/credentials`, {
      token,
      body: { action: 'database.migrate', resource: 'database:orders', context: { change_type: 'data' } },
    })
    expect(migrated.status).toBe(201)
    const { exitCode, stdout } = await hallpass(['can', 'deploy.run', repo], environment)
    expect(exitCode).toBe(4)
    expect(stdout).toContain('no: denied (forbidden): a policy forbids deploy.run on repo:acme/web')
    expect(stdout).toContain('no-deploy-after-database-writes')
    // The session was granted it, whichever task asks.
    expect(await mayOf(repo)).toMatchObject({ 'deploy.run': 'no' })
    await stack.call('POST', `${task.path}/complete`, { token, body: {} })
  })

  test('what is locked is no, with the reason that the operator gave', async () => {
    const lock = ['lock', 'add', 'action', 'report.read', '--reason', 'reports are leaking', '--local']
    expect(await stack.run(...lock)).toMatchObject({ code: 0 })
    expect(await mayOf(repo)).toMatchObject({ 'report.read': 'no', 'offline.read': 'yes' })
    const { exitCode, stdout } = await hallpass(['can', 'report.read', repo])
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 4, stdout: expect.stringContaining('reports are leaking') })
  })
})
