// What an approval binds, what a later difference is called, and when one that was given still covers a lease.
import { describe, expect, test } from '@jest/globals'
import { boundOf, boundSha256, denialKeys, differencesOf, personsBehind } from '../../../src/broker/approval-bound.js'
import { approvalStands } from '../../../src/broker/approval-stands.js'
import type { Decided } from '../../../src/broker/decide.js'
import type { Hop } from '../../../src/broker/hops.js'
import type { ResolvedRequest } from '../../../src/broker/resolved-request.js'
import type { Bound } from '../../../src/ledger/approval.js'
import type { LeaseRecord } from '../../../src/ledger/lease.js'
import type { Offer, Verdict } from '../../../src/policy/decision.js'
import { aRecord, aTask } from '../../support/ledger.js'
import { aWorkload } from '../../support/story-config.js'

const task = aTask({ id: 'task_1', principal: 'ci:web', instance: 'run-1', chain: ['task_1', 'task_0'] })
const requirements = [{ group: 'dba', count: 2 }]
const offer = (maxTtlSeconds: number | null, policy = 'p'): Offer => ({
  policy,
  maxTtlSeconds,
  approval: { group: 'dba', count: 2 },
  binding: null,
})
const wanting = (maxTtlSeconds: number | null): Extract<Verdict, { effect: 'approval_required' }> => ({
  effect: 'approval_required',
  policies: ['p'],
  offer: offer(maxTtlSeconds),
  ttlSeconds: 60,
  approvals: requirements,
})
const denied: Verdict = { effect: 'deny', code: 'denied', reason: 'forbidden', policies: [] }
const resource = { id: 'database:orders', type: 'database', attributes: { sensitivity: 'high' } }
const asked = (maxTtlSeconds: number | null = null) =>
  ({
    grant: { action: 'database.migrate', access: 'write', require: { maxTtlSeconds } },
    resource,
    declared: { ticket: 'OPS-1' },
    provider: { name: 'far' },
    ttlSeconds: 600,
  }) as unknown as ResolvedRequest
const decided = (verdict: Verdict, above: Verdict[] = []): Pick<Decided, 'verdict' | 'above'> => ({
  verdict,
  above: above.map((one) => ({ verdict: one }) as Hop),
})
const bound = (over: Partial<Bound> = {}): Bound => ({
  ...boundOf(asked(), task, { a: 1 }, decided(wanting(null)), []),
  ...over,
})

describe('an approval binds', () => {
  test('the whole request', () => {
    expect(boundOf(asked(), task, { a: 1 }, decided(wanting(null)), ['olga@acme'])).toEqual({
      task: 'task_1',
      instance: 'run-1',
      chain: ['task_1', 'task_0'],
      principal: 'ci:web',
      action: 'database.migrate',
      access: 'write',
      resource,
      declared: { ticket: 'OPS-1' },
      provider: 'far',
      recipeSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      requestedTtlSeconds: 600,
      ttlSeconds: 600,
      policy: 'p',
      requirements,
      persons: ['olga@acme'],
    })
    expect(bound()).not.toHaveProperty('persons')
  })

  test('the least lifetime of what was asked, the grant, the own offer and those of everybody above', () => {
    const ttlOf = (grant: number | null, own: number | null, above: Verdict[] = []) =>
      boundOf(asked(grant), task, {}, decided(wanting(own), above), []).ttlSeconds
    expect([ttlOf(null, null), ttlOf(300, null), ttlOf(null, 200), ttlOf(300, 200)]).toEqual([600, 300, 200, 200])
    expect(ttlOf(300, 200, [wanting(100), denied, wanting(null)])).toBe(100)
    expect(ttlOf(900, 900, [wanting(900)])).toBe(600)
  })

  test('nobody, where nobody has to agree any more; a denial is nothing to approve', () => {
    const permit: Verdict = { effect: 'permit', policies: ['p'], offer: offer(null), ttlSeconds: 60 }
    expect(boundOf(asked(), task, {}, decided(permit), []).requirements).toEqual([])
    expect(() => boundOf(asked(), task, {}, decided(denied), [])).toThrow('a denial offers nothing to approve')
  })

  test('the humans behind the caller, everybody above, and whoever handed it on, each once', () => {
    const principal = aWorkload('web', { person: 'zoe@acme' })
    const above = [{ person: 'ben@acme', delegator: 'ann@acme' }, { person: 'ben@acme' }, {}]
    expect(personsBehind({ principal, requestId: 'r' }, above)).toEqual(['ann@acme', 'ben@acme', 'zoe@acme'])
    expect(personsBehind({ principal: aWorkload('web'), requestId: 'r' }, [{}])).toEqual([])
  })
})

describe('another request', () => {
  test.each<[Partial<Bound>, string[]]>([
    [{ task: 'task_2' }, ['task']],
    [{ instance: null }, ['instance']],
    [{ declared: {} }, ['context']],
    [{ recipeSha256: 'x' }, ['recipe']],
    [{ requestedTtlSeconds: 60, ttlSeconds: 60 }, ['ttl_seconds']],
    [{ ttlSeconds: 61 }, ['ttl_seconds']],
    [{ policy: 'q' }, ['offer']],
    [{ requirements: [{ group: 'dba', count: 1 }] }, ['offer']],
    [{ resource: { ...resource, attributes: {} } }, ['resource']],
    [{ persons: ['ben@acme'] }, ['persons']],
    [{}, []],
  ])('%j differs in %j', (over, names) => {
    expect(differencesOf(bound(), bound(over))).toEqual(names)
    expect(differencesOf(bound(over), bound())).toEqual(names)
    expect(boundSha256(bound()) === boundSha256(bound(over))).toBe(names.length === 0)
  })
})

test('a denial is remembered by account, action, resource and what was declared; the flag by all but that', () => {
  const [is, other] = [denialKeys('ci:web', bound()), denialKeys('ci:web', bound({ declared: {}, task: 'task_2' }))]
  expect(other.flagKey).toBe(is.flagKey)
  expect(other.cooldownKey).not.toBe(is.cooldownKey)
  expect(denialKeys('ci:web', bound({ ttlSeconds: 1, task: 'task_2' }))).toEqual(is)
  for (const apart of [
    denialKeys('ci:api', bound()),
    denialKeys('ci:web', bound({ action: 'x' })),
    denialKeys('ci:web', bound({ resource: { ...resource, id: 'database:x' } })),
  ]) {
    expect([apart.flagKey === is.flagKey, apart.cooldownKey === is.cooldownKey]).toEqual([false, false])
  }
})

describe('the approval of a lease', () => {
  const given = (policy: string, ...of: [group: string, count: number][]): LeaseRecord =>
    aRecord(task, {
      approval: {
        policy,
        requirements: of.map(([group, count]) => ({ group, count })),
        given: { group: 'dba', approvers: [] },
      },
    })
  test.each<[string, LeaseRecord, boolean]>([
    ['the same', given('p', ['dba', 2]), true],
    ['more than is wanted', given('p', ['lead', 1], ['dba', 3]), true],
    ['fewer people than are wanted', given('p', ['dba', 1]), false],
    ['enough people of another group', given('p', ['lead', 2]), false],
    ["another permit's", given('q', ['dba', 2]), false],
    ['none', aRecord(task), false],
  ])('%s stands or falls', (_, record, stands) => {
    expect(approvalStands(record, wanting(null))).toBe(stands)
  })

  test('must cover every group that is wanted, not one of them', () => {
    const both = { ...wanting(null), approvals: [...requirements, { group: 'lead', count: 1 }] }
    expect(approvalStands(given('p', ['dba', 2]), both)).toBe(false)
    expect(approvalStands(given('p', ['dba', 2], ['lead', 1]), both)).toBe(true)
  })
})
