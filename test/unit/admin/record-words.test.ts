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
