import { describe, expect, test } from '@jest/globals'
import { wordsOf } from '../../../src/admin/record-words.js'
import type { AuditEntry } from '../../../src/api/audit.js'

const delegated = (delegate: object) =>
  wordsOf({
    event: 'delegation.created',
    time: '2031-05-06T07:08:09Z',
    delegation: 'dlg_1',
    delegate,
    expires_at: '2031-05-06T07:18:09Z',
    // As src/broker/delegate.ts writes it: pairs.
    ceiling: [
      ['repo.read', 'repo:acme/web'],
      ['deploy.run', 'repo:acme/web'],
    ],
  } as unknown as AuditEntry)

describe('a delegation in words', () => {
  test('to a principal: who, and every pair of the ceiling', () => {
    expect(delegated({ issuer: 'ci', subject: 'repo:acme/tools', instance: null })).toBe(
      'delegated dlg_1 to ci:repo:acme/tools, until 2031-05-06T07:18:09Z: repo.read on repo:acme/web, deploy.run on repo:acme/web',
    )
  })

  test('to one run of it, and to an agent', () => {
    expect(delegated({ issuer: 'ci', subject: 's', instance: 'run-7' })).toContain('to ci:s, instance run-7, until')
    expect(delegated({ agent: 'reviewer' })).toContain('to agent reviewer, until')
  })
})

describe('changed rules in words', () => {
  const rules = 'abcdef0123456789'
  const said = (event: string, members: object) =>
    wordsOf({ event, time: '2031-05-06T07:08:09Z', rules, live: 40, doomed: 30, ...members } as unknown as AuditEntry)

  test('a lease that they ended: why, by which policies, and whose place in the chain it was refused at', () => {
    const ended = { lease: 'lease_1', reason: 'forbidden', policies: ['frozen'], principal: 'ci:b' }
    expect(said('lease.redecided', { ...ended, judged: 'ci:a' })).toBe(
      'decided again lease_1 by changed rules abcdef012345: forbidden, judged as ci:a; policies: frozen',
    )
    expect(said('lease.redecided', { ...ended, judged: 'ci:b' })).not.toContain('judged as')
    // The decision beside it has the same reason: said once.
    const decision = {
      id: 'dec_1',
      effect: 'deny',
      reason: 'forbidden',
      policies: ['frozen'],
      policySet: 'a'.repeat(64),
    }
    expect(said('lease.redecided', { ...ended, judged: 'ci:b', decision })).toBe(
      'decided again lease_1 by changed rules abcdef012345: forbidden; policies: frozen, decision dec_1, set aaaaaaaaaaaa',
    )
  })

  test('that they wait, and whose word let them', () => {
    expect(said('rules.change_waits', { most: 20 })).toContain('30 of 40 live leases would end, 20 may without')
    expect(said('rules.change_applied', { actor: 'staff:olga', reason: 'reviewed' })).toBe(
      'ORDER apply rules abcdef012345 by staff:olga "reviewed": 30 of 40 live leases',
    )
  })
})
