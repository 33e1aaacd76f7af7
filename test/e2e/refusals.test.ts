// Every code that a request for a credential can be refused with, as long as everything runs: what the caller is told, what
// the audit says, that no lease lives, and that the provider never heard of it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer, CallOptions } from '../../scripts/demo/http-call.js'
import { type Stack, startStack } from '../support/stack.js'
import { type StackSettings, stackPolicies } from '../support/stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import {
  buy,
  expectProblem,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  type Refused,
  report,
} from '../support/wire-checks.js'

// In a function, since these are no templates of ours.
const placeholder = (name: string) => `\${${name}}`
const ttl = { default: '5m', max: '30m' }
const recipe = { audience: 'https://a.acme.example', verified_by: 'introspection' }
const grant = (more: object) => ({ access: 'write', resource: 'repo', provider: 'tokens', ttl, recipe, ...more })

const moreGrants = {
  'require.bound': grant({ require: { binding: 'any' } }),
  'require.approved': grant({ require: { approval: 'on-call:2' } }),
  'policy.bound': grant({ access: 'admin' }),
  'policy.approved': grant({ access: 'admin' }),
  'policy.errs': grant({ access: 'admin' }),
  'policy.none': grant({ access: 'admin' }),
  'policy.brief': grant({
    access: 'admin',
    resource: 'database',
    provider: 'vault',
    recipe: { kind: 'token', policies: ['read-orders'] },
  }),
  'recipe.unfillable': grant({
    resource: 'service',
    recipe: { ...recipe, audience: `https://a.acme.example/${placeholder('resource.name')}` },
  }),
}
const policies = `${stackPolicies}${vaultPolicy}
@id("bound") @binding("dpop")
permit (principal, action == Action::"policy.bound", resource);
@id("approved") @approval("on-call:1")
permit (principal, action == Action::"policy.approved", resource);
@id("errs-not") permit (principal, action == Action::"policy.errs", resource);
@id("errs") forbid (principal, action == Action::"policy.errs", resource)
when { context.requested_ttl_seconds * 9223372036854775807 < 0 };
@id("brief") @max_ttl("1s")
permit (principal, action == Action::"policy.brief", resource);
`

let beside: VaultInStack
let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask

beforeAll(async () => {
  beside = await startVaultForStack()
  const settings = (base: StackSettings) => {
    const full = beside.withVault(base)
    return {
      ...full,
      resources: { ...full.resources, 'service:{name}': {} },
      grants: { ...full.grants, ...moreGrants },
    }
  }
  stack = await startStack({ settings, policies })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
})
afterAll(async () => {
  ledger.close()
  await stack.stop()
  await beside.vault.stop()
})

const ask = (asked: object, options: CallOptions = {}): Promise<Answer> =>
  stack.call('POST', `${task.path}/credentials`, { token, body: asked, ...options })

/** The one record of this request. */
function recordOf(answer: Answer) {
  return stack.auditRecords().filter((record) => record.request_id === answer.headers['x-request-id'])
}

/** What the provider heard, without what Hallpass asks for itself: its login, its look who answers and what lives there. */
function heardByVault(): string[] {
  const ownWork = /^(sys\/health|auth\/[a-z]+\/login$|auth\/token\/(accessors$|lookup-accessor$|lookup-self$))/
  return beside.vault.calls.map(({ path }) => path).filter((path) => !ownWork.test(path))
}

/** Refused as told, and nothing else came of it. */
async function expectRefused(call: () => Promise<Answer>, refused: Refused, event: string | null): Promise<Answer> {
  const before = { leases: await ledger.leaseIds(), heard: heardByVault() }
  const answer = await call()
  expectProblem(answer, refused)
  expect({ leases: await ledger.leaseIds(), heard: heardByVault() }).toEqual(before)
  const records = recordOf(answer)
  expect(records.map((record) => [record.event, record.code])).toEqual(event === null ? [] : [[event, refused.code]])
  return answer
}

describe('what a known caller is refused', () => {
  const repo = 'repo:acme/web'
  const rows: [name: string, asked: object, refused: Refused, event: string | null, members?: object][] = [
    [
      'no permit',
      { action: 'policy.none', resource: repo },
      { status: 403, code: 'denied' },
      'decision.denied',
      { reason: 'no_permit', decision: { effect: 'deny', policies: [] } },
    ],
    [
      'a policy that errs',
      { action: 'policy.errs', resource: repo },
      { status: 403, code: 'denied' },
      'decision.denied',
      { reason: 'policy_error', decision: { policies: ['errs'] } },
    ],
    [
      'less time than the provider can give',
      { action: 'policy.brief', resource: 'database:orders' },
      { status: 403, code: 'denied' },
      'decision.denied',
      { reason: 'lifetime' },
    ],
    [
      'an approval that nobody asked for',
      { action: 'policy.approved', resource: repo, approval_id: `appr_${'0'.repeat(26)}` },
      { status: 404, code: 'not_found' },
      null,
    ],
    [
      '@binding',
      { action: 'policy.bound', resource: repo },
      { status: 403, code: 'binding_required' },
      'decision.denied',
    ],
    [
      'a grant’s binding',
      { action: 'require.bound', resource: repo },
      { status: 403, code: 'binding_required' },
      'decision.denied',
    ],
    [
      'an unknown action',
      { action: 'repo.burn', resource: repo },
      { status: 404, code: 'unknown_action' },
      'request.refused',
    ],
    [
      'an unknown resource',
      { action: 'report.read', resource: 'repo:nobody/web' },
      { status: 404, code: 'unknown_resource' },
      'request.refused',
    ],
    [
      'a resource of another type',
      { action: 'report.read', resource: 'database:orders' },
      { status: 404, code: 'unknown_resource' },
      'request.refused',
    ],
    [
      'a recipe that cannot be filled',
      { action: 'recipe.unfillable', resource: 'service:a@b' },
      { status: 422, code: 'unfillable_recipe' },
      'request.refused',
    ],
    [
      'a lifetime below the floor',
      { action: 'config.read', resource: 'database:orders', ttl_seconds: 1 },
      { status: 400, code: 'invalid_request', field: 'ttl_seconds' },
      null,
    ],
    [
      'a declared value of the wrong type',
      { action: 'database.migrate', resource: 'database:orders', context: { change_type: 7 } },
      { status: 400, code: 'invalid_request', field: 'context.change_type' },
      'request.refused',
    ],
    [
      'a declared value that is no value',
      { action: 'database.migrate', resource: 'database:orders', context: { change_type: ['data'] } },
      { status: 400, code: 'invalid_request', field: 'context.change_type' },
      'request.refused',
    ],
    [
      'a declared value that the grant does not list',
      { action: 'report.read', resource: repo, context: { ghp_0123456789abcdefABCDEF0123456789abcd: 'x' } },
      { status: 400, code: 'invalid_request' },
      'request.refused',
    ],
  ]
  test.each(rows)('%s', async (_name, asked, refused, event, members = {}) => {
    const answer = await expectRefused(() => ask(asked), refused, event)
    expect(answer.body).toMatchObject(members)
    if (refused.status === 403) {
      expect(answer.body.principal).toMatchObject({ id: 'ci:repo:acme/web:ref:refs/heads/main' })
      const { id } = answer.body.decision as { id: string }
      expect(recordOf(answer)[0]).toMatchObject({
        task: task.id,
        decision: { id, input: { action: expect.any(String) } },
      })
    }
    // With the task it would be bought in, the same.
    const atOnce = await stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x', credentials: [asked] } })
    const field = refused.field === undefined ? {} : { field: `credentials.0.${refused.field}` }
    expectProblem(atOnce, { status: refused.status, code: refused.code, ...field })
    expect(JSON.stringify([...recordOf(answer), ...recordOf(atOnce)])).not.toContain('ghp_')
    if (refused.status === 403) expect(atOnce.body.decisions).toHaveLength(1)
  })

  test('a deploy after a database write of the same session is forbidden, whichever task it was in', async () => {
    const run = await stack.ciToken({ run_id: '777' })
    const first = await openTask(stack, run)
    await buy(stack, run, first, {
      action: 'database.migrate',
      resource: 'database:orders',
      context: { change_type: 'data' },
    })
    await stack.call('POST', `${first.path}/complete?wait_seconds=5`, { token: run, body: {} })
    const second = await openTask(stack, run)
    const deploy = () =>
      stack.call('POST', `${second.path}/credentials`, { token: run, body: { action: 'deploy.run', resource: repo } })
    const answer = await expectRefused(deploy, { status: 403, code: 'denied' }, 'decision.denied')
    expect(answer.body).toMatchObject({
      reason: 'forbidden',
      decision: { policies: ['no-deploy-after-database-writes'] },
    })
  })

  test('a task that has ended', async () => {
    const over = await openTask(stack, token)
    await stack.call('POST', `${over.path}/complete`, { token, body: {} })
    const late = () => stack.call('POST', `${over.path}/credentials`, { token, body: report })
    await expectRefused(late, { status: 409, code: 'task_closed' }, 'request.refused')
  })

  test('a lock of an operator’s', async () => {
    await ledger.redis.hset(ledger.key('locked'), 'action=report.read', '1')
    try {
      await expectRefused(() => ask(report), { status: 403, code: 'locked' }, 'request.refused')
    } finally {
      await ledger.redis.del(ledger.key('locked'))
    }
    expect((await ask(report)).status).toBe(201)
  })
})
