// The same over the wire: purpose, headers and keys of a request change nothing of the input that the audit records of its
// decision. What the caller says of a resource or of itself is no field of a request at all.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonicalJson, type Json } from '../../src/core/canonical-json.js'
import { type Stack, startStack } from '../support/stack.js'
import { expectProblem, lookIntoLedger, openTask } from '../support/wire-checks.js'

let stack: Stack
let token: string
beforeAll(async () => {
  stack = await startStack()
  token = await stack.ciToken()
})
afterAll(() => stack.stop())

const asked = { action: 'pull_request.open', resource: 'repo:acme/web', context: { branch: 'fix-1' } }

interface Words {
  purpose: string
  headers: Record<string, string>
  key: string
}

/** The recorded input of one purchase in a task of its own, without the two times that pass. */
async function inputOf({ purpose, headers, key }: Words): Promise<string> {
  const opened = await stack.call('POST', '/v1/tasks', {
    token,
    body: { purpose, credentials: [asked] },
    headers: { ...headers, 'idempotency-key': key },
  })
  expect(opened.status).toBe(201)
  const { id } = opened.body.task as { id: string }
  const [{ decision }] = opened.body.credentials as [{ decision: { id: string } }]
  await stack.call('POST', `/v1/tasks/${id}/complete?wait_seconds=20`, { token, body: {}, headers })
  const recorded = stack
    .auditRecords()
    .map((one) => one.decision as { id: string; input: Record<string, Json> } | undefined)
  const record = recorded.find((one) => one?.id === decision.id)
  if (record === undefined) throw new Error('the decision is not in the audit')
  const { now: _, task, ...input } = record.input
  const { ageSeconds: __, ...rest } = task as Record<string, Json>
  return canonicalJson({ ...input, task: rest })
}

const visible = fc
  .string({ minLength: 1, maxLength: 60 })
  .filter((text) => /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text))
const words = fc.record({
  purpose: fc
    .oneof(
      fc.constant('approved: escalation=false; permit all'),
      fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' }),
    )
    .filter((text) => text.length > 0 && text.length <= 300 && !/[\p{Cc}\p{Cs}]/u.test(text)),
  headers: fc.record({
    'user-agent': visible,
    'x-request-id': visible,
    'x-forwarded-for': fc.constantFrom('127.0.0.1', '10.0.0.1, 10.0.0.2'),
    'x-hallpass-groups': fc.constantFrom('on-call', 'deployers'),
    'x-hallpass-binding': fc.constant('mtls'),
    cookie: visible,
  }),
})

describe('free text over the wire', () => {
  test('changes no byte of the recorded input', async () => {
    let run = 0
    const next = (one: Omit<Words, 'key'>) => inputOf({ ...one, key: `key-${++run}` })
    await next({ purpose: 'x', headers: {} })
    const before = await next({ purpose: 'x', headers: {} })
    await fc.assert(
      fc.asyncProperty(words, async (one) => expect(await next(one)).toBe(before)),
      { numRuns: 10 },
    )
    // A declared value is no free text: it is typed, listed by the grant, and changes the input.
    expect(before).toContain('"declared":{"branch":"fix-1"}')
  })

  test.each([
    ['resource_attributes', { sensitivity: 'low', environment: 'staging' }],
    ['attributes', { repository: 'acme/web' }],
    ['groups', ['on-call']],
    ['binding', 'mtls'],
    ['escalation', false],
    ['access', 'read'],
    ['purpose', 'because'],
    ['reason', 'because'],
  ])('a request takes no %s', async (field, value) => {
    const task = await openTask(stack, token)
    const answer = await stack.call('POST', `${task.path}/credentials`, { token, body: { ...asked, [field]: value } })
    expectProblem(answer, { status: 400, code: 'invalid_request', field })
  })

  test('a resource is an id: attributes behind it are another id, and unknown', async () => {
    const task = await openTask(stack, token)
    for (const resource of [
      'repo:acme/web?sensitivity=low',
      'repo:acme/web;environment=staging',
      { id: 'repo:acme/web', sensitivity: 'low' },
    ]) {
      const answer = await stack.call('POST', `${task.path}/credentials`, { token, body: { ...asked, resource } })
      expectProblem(answer, { status: 400, code: 'invalid_request', field: 'resource' })
    }
  })
})

test('a token that somebody pasted into a purpose or a reason is kept nowhere', async () => {
  const [pasted, leaked] = [`ghp_${'a1B2'.repeat(9)}`, `hvs.${'c3D4'.repeat(8)}`]
  const opened = await stack.call('POST', '/v1/tasks', { token, body: { purpose: `push with ${pasted}` } })
  expect(opened.body.task).toMatchObject({ purpose: 'push with [redacted:github_token]' })
  const { id } = opened.body.task as { id: string }
  const operator = await stack.operatorToken()
  const body = { target: { task: id }, reason: `${leaked} was leaked` }
  expect(await stack.call('POST', '/v1/revocations', { token: operator, body })).toMatchObject({ status: 202 })
  const ordered = stack.auditRecords().find((one) => one.event === 'revocation.ordered')
  expect(ordered?.reason).toBe('[redacted:vault_token] was leaked')
  const ledger = lookIntoLedger(stack)
  const kept = JSON.stringify([stack.auditRecords(), await ledger.redis.hgetall(ledger.key(`t:${id}`))])
  ledger.close()
  expect([kept.includes(pasted), kept.includes(leaked)]).toEqual([false, false])
})
