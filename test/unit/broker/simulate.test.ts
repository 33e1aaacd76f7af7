// What a candidate would change, seen on real decisions of a real broker's audit; nothing of it touches the ledger.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { simulateFolders } from '../../../src/admin/folder-simulation.js'
import { type SimulateRequest, simulateRequest } from '../../../src/api/simulate.js'
import type { Rules } from '../../../src/broker/parts.js'
import { simulate } from '../../../src/broker/simulate.js'
import { systemClock } from '../../../src/core/clock.js'
import type { BrokerError } from '../../../src/core/errors.js'
import { asking, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(() => story?.close())

/** The story's rules without what `drops` names, and with what is added. */
const candidateOf = (...policies: string[]) => ({ 'main.cedar': policies.join('\n') })
const permit = (id: string, actions: string, more = '', annotation = '') =>
  `@id("${id}") ${annotation} permit (principal in Issuer::"ci", action in [${actions}], resource)${more};`
const classes = (...names: string[]) => names.map((name) => `Action::"${name}"`).join(', ')
const everything = permit('ci-may', classes('read', 'write', 'deploy', 'admin'))

const run = (body: unknown) => simulate(story.parts, story.operator(), simulateRequest.parse(body) as SimulateRequest)
const recorded = async (policies: Record<string, string>, span: object = {}) => {
  const answer = await run({ recorded: span, policies })
  if (!('decisions' in answer)) throw new Error('not of recorded decisions')
  return answer
}
const request = (over: object = {}) => ({ principal: { issuer: 'ci', subject: 'x' }, ...asking(), ...over })
const one = async (over: object, policies?: Record<string, string>) => {
  const answer = await run({ request: request(over), ...(policies ? { policies } : {}) })
  if (!('before' in answer)) throw new Error('not of one request')
  return answer
}

describe('recorded decisions against a candidate', () => {
  const bought: Record<string, string[]> = { 'repo.read': [], 'deploy.run': [], 'account.delete': [] }
  let from: string
  let accounts: string[]

  beforeAll(async () => {
    from = new Date(systemClock.now()).toISOString()
    accounts = []
    for (let i = 0; i < 4; i++) {
      const caller = story.caller(`account-${i}`)
      accounts.push(caller.principal.account)
      const task = await story.task(caller)
      await story.buy(caller, task)
      bought['repo.read']?.push(caller.principal.account)
      if (i % 2 === 0) {
        await story.buy(caller, task, { action: 'deploy.run' })
        bought['deploy.run']?.push(caller.principal.account)
      }
      if (i === 3) await refusalOf(story.buy(caller, task, { action: 'account.delete' }))
    }
  })

  test('a permit that is dropped: exactly those lose who had it', async () => {
    const task = await story.task(story.caller('account-0'))
    const look = async () => {
      const seen = await story.parts.ledger.look(task.id, null, null)
      return typeof seen === 'object' && 'holders' in seen ? seen.holders : null
    }
    const before = await look()
    const answer = await recorded(candidateOf(permit('ci-may', classes('read', 'write', 'admin'))), { from })
    expect(answer).toMatchObject({ decisions: 7, losses: 2, gains: 1, skipped: 0, not_listed: 0, next_cursor: null })
    const losers = answer.groups.filter(({ kind }) => kind === 'loss')
    expect(losers.map(({ account }) => account).sort()).toEqual(['ci:account-0', 'ci:account-2'])
    for (const loser of losers) {
      expect(loser).toMatchObject({
        action: 'deploy.run',
        before: { effect: 'permit', policies: ['ci-may'] },
        after: { effect: 'deny', reason: 'no_permit', policies: [] },
        decisions: 1,
        examples: [{ decision: expect.stringMatching(/^dec_/), resource: 'repo:acme/web' }],
      })
    }
    // The forbid is gone with the rest of the story's rules.
    expect(answer.groups.filter(({ kind }) => kind === 'gain')).toMatchObject([
      {
        account: 'ci:account-3',
        action: 'account.delete',
        before: { reason: 'forbidden' },
        after: { effect: 'permit' },
      },
    ])
    expect(before).toHaveLength(2)
    expect(await look()).toEqual(before)
    const [record] = (await story.records('policy.simulated')).slice(-1)
    expect(record).toMatchObject({
      actor: 'staff:olga',
      candidate: answer.candidate,
      recorded: { losses: 2, gains: 1 },
    })
  })

  test('another lifetime, an approval: what changes is named', async () => {
    const shorter = permit('ci-may', classes('read', 'write', 'deploy'), '', '@max_ttl("10s")')
    const forbid = '@id("no-escalation-to-admin") forbid (principal, action == Action::"account.delete", resource);'
    const answer = await recorded(candidateOf(shorter, forbid), { from })
    expect(answer).toMatchObject({ losses: 0, gains: 0, changes: 6, unchanged: 1 })
    expect(answer.groups[0]).toMatchObject({ kind: 'change', members: ['ttl_seconds'], after: { ttl_seconds: 10 } })
    expect((await recorded(candidateOf(everything), { from })).changes).toBe(0)
  })

  test('a span, a task, and pages that together are the whole', async () => {
    const to = new Date(Date.parse(from) - 1).toISOString()
    expect(await recorded(candidateOf(everything), { to })).toMatchObject({ decisions: 0, next_cursor: null })
    const task = await story.task(story.caller('account-0'))
    expect(await recorded(candidateOf(everything), { task: task.id })).toMatchObject({ decisions: 0 })
    const records = (await story.broker.records()).filter((record) => record.decision !== undefined)
    const cursor = (seq: unknown) => Buffer.from(JSON.stringify({ chain: 'one-dev', seq })).toString('base64url')
    const rest = await recorded(candidateOf(everything), { cursor: cursor(records[4]?.seq) })
    expect(rest.decisions).toBe(records.length - 5)
    for (const broken of [cursor('x'), 'AAAA', Buffer.from('null').toString('base64url')]) {
      const refusal = await refusalOf(recorded(candidateOf(everything), { cursor: broken }))
      expect(refusal).toMatchObject({ code: 'invalid_request', errors: [{ field: 'recorded.cursor' }] })
    }
  })

  test('the command over folders says the same as the call over its own', async () => {
    const policies = candidateOf(permit('ci-may', classes('read', 'write', 'admin')))
    const candidate = await story.parts.rules().tryPolicies(policies)
    const filter = { from: Date.parse(from) }
    const quiet = { note: () => undefined }
    const { groups, ...counts } = await simulateFolders([story.parts.auditDirectory], filter, candidate, quiet)
    const { groups: theirs, next_cursor: _, ...others } = await recorded(policies, { from })
    expect(counts).toEqual(others)
    expect(groups).toEqual(theirs)
  })
})

describe('one request', () => {
  test('both verdicts and the difference; without a candidate only what is decided now', async () => {
    const now = await one({})
    expect(now).toMatchObject({ before: { effect: 'permit', ttl_seconds: 60 }, after: null, change: 'none' })
    const dropped = await one({}, candidateOf(permit('others', classes('write'))))
    expect(dropped).toMatchObject({
      before: { effect: 'permit' },
      after: { effect: 'deny', reason: 'no_permit' },
      change: 'loss',
    })
    expect(dropped.differences).toContainEqual({ member: 'effect', before: 'permit', after: 'deny' })
    expect(dropped.policy_set).toBe(story.parts.rules().policy.hash)
  })

  test('what is held, what was granted, the token, the task: all as it is described', async () => {
    const deploy = { action: 'deploy.run' }
    const migrate = { action: 'database.migrate', resource: 'database:orders' }
    expect((await one({ ...deploy, held: { account: [migrate] } })).before).toMatchObject({
      policies: ['one-at-a-time'],
    })
    expect((await one({ ...deploy, granted: { account: [migrate] } })).before).toMatchObject({ effect: 'permit' })
    expect((await one({ ttl_seconds: 500, task: { ends_in_seconds: 40 } })).before).toMatchObject({ ttl_seconds: 40 })
    const bound = candidateOf(permit('ci-may', classes('read'), '', '@binding("dpop")'))
    expect((await one({}, bound)).after).toMatchObject({ code: 'binding_required' })
    expect((await one({ binding: 'dpop' }, bound)).after).toMatchObject({ effect: 'permit', binding: 'dpop' })
    const calm = `@id("calm") forbid (principal, action == Action::"deploy.run", resource) when { context.escalation };`
    const escalating = candidateOf(everything, calm)
    const before = { granted: { session: [{ action: 'repo.read', resource: 'repo:acme/web' }] } }
    expect((await one({ ...deploy, ...before }, escalating)).after).toMatchObject({ policies: ['calm'] })
    expect((await one(before, escalating)).after).toMatchObject({ effect: 'permit' })
  })

  test.each([
    ['an unknown action', { action: 'no.such' }, 'unknown_action'],
    ['an unknown resource', { resource: 'database:none' }, 'unknown_resource'],
    ['an issuer that is not there', { principal: { issuer: 'x', subject: 'y' } }, 'request.principal.issuer'],
    ['an issuer of operators', { principal: { issuer: 'staff', subject: 'y' } }, 'request.principal.issuer'],
    [
      'an attribute that nobody gives',
      { principal: { issuer: 'ci', subject: 'y', attributes: { x: 1 } } },
      'request.principal.attributes.x',
    ],
    [
      'a lease of no grant',
      { held: { session: [{ action: 'no.such', resource: 'repo:acme/web' }] } },
      'request.held.session.0.action',
    ],
  ])('%s', async (_, over, said) => {
    const refusal: BrokerError = await refusalOf(one(over))
    expect([refusal.code, refusal.errors?.[0]?.field]).toContain(said)
  })
})

describe('a candidate that is none', () => {
  const refused = (policies: Record<string, string>) => refusalOf(run({ request: request(), policies }))

  test('is refused with file and line, and nothing else comes of it', async () => {
    const before = (await story.broker.records()).length
    const refusal = await refused({
      'a.cedar': everything,
      'deploy/b.cedar': `\n\n@id("x") permit (principal, action == Action::"no.such", resource);`,
    })
    expect(refusal).toMatchObject({ code: 'invalid_request' })
    expect(refusal.errors?.map(({ field, message }) => `${field}: ${message}`).join()).toMatch(
      /^policies: deploy\/b\.cedar:3: /,
    )
    expect((await story.broker.records()).length).toBe(before)
  })

  test('however deep it nests, it breaks nothing', async () => {
    const deep = `@id("x") permit (principal, action in [${classes('read')}], resource) when { ${'!('.repeat(3000)}true${')'.repeat(3000)} };`
    expect((await refused({ 'a.cedar': deep })).errors?.[0]?.message).toMatch(/^a\.cedar:1: nests more than/)
    expect((await one({})).before.effect).toBe('permit')
  })

  test('two at once: the second is told to wait', async () => {
    const first = run({ request: request(), policies: candidateOf(everything) })
    expect(await refusalOf(run({ request: request() }))).toMatchObject({ code: 'busy', retryAfterSeconds: 1 })
    await first
  })

  test('with the audit down there is no answer', async () => {
    story.broker.auditSwitch.isDown = () => true
    expect(await refusalOf(run({ request: request() }))).toMatchObject({ code: 'audit_unavailable' })
    story.broker.auditSwitch.isDown = () => false
    expect((await one({})).before.effect).toBe('permit')
  })
})

test.each([
  ['nothing', {}],
  ['both', { request: request(), recorded: {}, policies: candidateOf(everything) }],
  ['no candidate for what is recorded', { recorded: {} }],
  ['a path that climbs', { request: request(), policies: { '../x.cedar': everything } }],
  ['a path without .cedar', { request: request(), policies: { 'x.txt': everything } }],
  ['an empty candidate', { request: request(), policies: {} }],
  ['an unknown member', { request: request({ purpose: 'x' }) }],
])('the body: %s is refused', (_, body) => {
  expect(simulateRequest.safeParse(body).success).toBe(false)
})

test('a candidate that is sent with each page is validated once', async () => {
  let tried = 0
  const inForce = story.parts.rules()
  const rules: Rules = {
    ...inForce,
    async tryPolicies(files) {
      tried++
      return await inForce.tryPolicies(files)
    },
  }
  const parts = { ...story.parts, rules: () => rules }
  const page = (policies: Record<string, string>) =>
    simulate(parts, story.operator(), simulateRequest.parse({ live: {}, policies }) as SimulateRequest)
  const first = await page(candidateOf(everything))
  expect(await page(candidateOf(everything))).toEqual(first)
  expect(tried).toBe(1)
  const other = await page(candidateOf(permit('reads', classes('read'))))
  expect([other.candidate === first.candidate, tried]).toEqual([false, 2])
})
