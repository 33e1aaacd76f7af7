// Whose agreement counts now: each reason by itself for which one that was given does not.
import { beforeAll, describe, expect, test } from '@jest/globals'
import { agreementsOf, groupsAmong, isAgreed, isOwnHuman, permitsApproving } from '../../../src/broker/approvers.js'
import type { Parts } from '../../../src/broker/parts.js'
import type { Approval, ApprovalVote } from '../../../src/ledger/approval.js'
import { createPolicyEngine } from '../../../src/policy/engine.js'
import { createGroups } from '../../../src/policy/groups.js'
import { parsePolicySet } from '../../../src/policy/policy-set.js'
import { loadExample, workload } from '../../support/example-config.js'

const policies = `
@id("dba") permit (principal in Group::"dba", action == Action::"operate.approve", resource is Database)
when { context has action && context.action == "database.migrate" && context has access && context.access == "write" };
@id("everything") permit (principal in Group::"leads", action == Action::"operate.approve", resource is Broker);
`
let parts: Parts
let removed: string[] = []
beforeAll(async () => {
  const example = await loadExample()
  const byRole = { issuer: 'staff', where: { roles: 'dba' } }
  const groups = createGroups({
    dba: ['staff:ann', 'staff:ben', 'staff:eve', byRole],
    leads: ['staff:lea'],
    idle: ['staff:ivo'],
  })
  const policySet = await parsePolicySet({ 'a.cedar': policies }, { schema: example.schema, groups: groups.names })
  const policy = createPolicyEngine({ policySet, grants: example.settings.grants, groups })
  const requirements = {
    findUnmetOperator: ({ subject }: { subject: string }) => (removed.includes(subject) ? 'issuer_require' : null),
  }
  parts = { rules: () => ({ policy, catalogue: example.catalogue, requirements }) } as unknown as Parts
})

const approval = (over: { resource?: string; persons?: string[]; votes?: ApprovalVote[]; count?: number } = {}) =>
  ({
    record: {
      bound: {
        action: 'database.migrate',
        access: 'write',
        resource: { id: over.resource ?? 'database:orders', type: 'database', attributes: {} },
        requirements: [
          { group: 'dba', count: over.count ?? 1 },
          { group: 'leads', count: 0 },
        ],
      },
      persons: over.persons ?? [],
    },
    votes: over.votes ?? [],
  }) as unknown as Approval
const operator = (name: string) => ({ ...workload('staff', name), use: 'operator' }) as const
const vote = (name: string, over: Partial<ApprovalVote> = {}): ApprovalVote => ({
  by: `staff:${name}`,
  person: null,
  issuer: 'staff',
  subject: name,
  attributes: {},
  vote: 'approve',
  reason: 'seen',
  at: 1,
  ...over,
})
const countedOf = (votes: ApprovalVote[], of = approval()) => agreementsOf(parts, of, votes).map(({ by }) => by)

describe('an agreement counts', () => {
  test('of somebody in the group, whom a policy permits it, with who they are', () => {
    const person = 'Ann@acme'
    expect(agreementsOf(parts, approval(), [vote('ann', { person })])).toEqual([
      { by: 'staff:ann', key: expect.any(String), groups: ['dba'] },
    ])
    expect(groupsAmong(parts, approval(), vote('lea'))).toEqual(['leads'])
    expect(groupsAmong(parts, approval(), vote('ivo'))).toEqual([])
  })

  test('by what was verified of them when they agreed', () => {
    expect(agreementsOf(parts, approval(), [vote('sue', { attributes: { roles: ['dba'] } })])).toMatchObject([
      { by: 'staff:sue', groups: ['dba'] },
    ])
    expect(countedOf([vote('sue', { attributes: { roles: ['sre'] } })])).toEqual([])
    expect(countedOf([vote('sue', { issuer: 'other', attributes: { roles: ['dba'] } })])).toEqual([])
  })

  test('not where they denied', () => {
    expect(countedOf([vote('ann', { vote: 'deny' }), vote('ben')])).toEqual(['staff:ben'])
  })

  test('not where it is their own request, however they are written; nor where nobody knows who they are otherwise', () => {
    const own = approval({ persons: ['ann@acme', 'x'] })
    expect(countedOf([vote('ann', { person: 'Ann@ACME' }), vote('ben', { person: 'ben@acme' })], own)).toEqual([
      'staff:ben',
    ])
    expect(isOwnHuman(own, { person: 'ANN@acme' })).toBe(true)
    expect(isOwnHuman(own, { person: 'ben@acme' })).toBe(false)
    expect(isOwnHuman(own, { person: null })).toBe(false)
  })

  test('not where their issuer would not vouch for them any more', () => {
    removed = ['ann']
    expect(countedOf([vote('ann'), vote('ben')])).toEqual(['staff:ben'])
    removed = []
    expect(countedOf([vote('ann'), vote('ben')])).toEqual(['staff:ann', 'staff:ben'])
  })

  test('not where no policy permits it to them (any more)', () => {
    expect(countedOf([vote('ivo'), vote('zoe'), vote('ben')])).toEqual(['staff:ben'])
  })
})

describe('a policy permits approving', () => {
  test('on the resource, or on all of them at once, also on one that is not there any more', () => {
    const gone = approval({ resource: 'database:gone' })
    expect(permitsApproving(parts, operator('ann'), approval())).toBe(true)
    expect(permitsApproving(parts, operator('ann'), approval({ resource: 'repo:acme/web' }))).toBe(false)
    expect(permitsApproving(parts, operator('ann'), approval({ resource: 'nothing:gone' }))).toBe(false)
    expect(permitsApproving(parts, operator('lea'), gone)).toBe(true)
    expect(permitsApproving(parts, operator('lea'), approval({ resource: 'nothing:gone' }))).toBe(true)
    expect(permitsApproving(parts, operator('ivo'), approval())).toBe(false)
  })
})

test('enough are agreed where enough of those count, of the votes that there are or of others', () => {
  const votes = [vote('ann'), vote('ben', { vote: 'deny' })]
  expect(isAgreed(parts, approval({ votes }))).toBe(true)
  expect(isAgreed(parts, approval({ votes, count: 2 }))).toBe(false)
  expect(isAgreed(parts, approval({ votes, count: 2 }), [vote('ann'), vote('eve')])).toBe(true)
  expect(isAgreed(parts, approval({ votes, count: 2 }), [vote('ann'), vote('ann')])).toBe(false)
})
