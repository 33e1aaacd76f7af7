// In which order access classes, sensitivities and lifetimes stand, for what is an escalation and beyond which lease (I9).
import { describe, expect, test } from '@jest/globals'
import { escalationOf } from '../../../src/broker/holders.js'
import type { HolderLook } from '../../../src/ledger/way-out.js'
import type { Resource } from '../../../src/policy/decision.js'

const aResource = (sensitivity?: string): Resource => ({
  id: 'repo:acme/web',
  type: 'repo',
  attributes: sensitivity === undefined ? {} : { sensitivity },
})

const aSession = (over: Partial<HolderLook> = {}): HolderLook => ({
  id: 's',
  kind: 'session',
  version: '1',
  activeLeases: 0,
  holding: [],
  holdingAccess: [],
  holdingResources: [],
  granted: ['repo.read'],
  grantedAccess: ['read'],
  grantedResources: ['repo:acme/web'],
  grantedSensitivities: [],
  grantedTtls: [60],
  grantedBy: { 'c:read': 'by-access', 't:60': 'by-lifetime', 's:medium': 'by-medium' },
  recentDenials: 0,
  lastLease: 'the-last',
  ...over,
})

describe('the orders', () => {
  const beyond = (look: Partial<HolderLook>, over: { sensitivity?: string; access?: 'read' | 'admin' }) =>
    escalationOf([aSession(look)], {
      access: over.access ?? 'read',
      resource: aResource(over.sensitivity),
      ttlSeconds: 60,
    })

  test.each([
    ['low', ['medium'], false],
    ['medium', ['medium'], false],
    ['high', ['medium'], true],
    ['critical', ['high', 'low'], true],
    ['secret', ['critical'], true],
    ['secret', ['critical', 'secret'], false],
    ['low', [], true],
  ])('sensitivity %s after %j: %s', (sensitivity, had, expected) => {
    expect(beyond({ grantedSensitivities: had }, { sensitivity }) !== null).toBe(expected)
  })

  test('a resource without a sensitivity is never more sensitive', () => {
    expect(beyond({ grantedSensitivities: ['low'] }, {})).toBeNull()
  })

  test('a sensitivity where there was none before goes beyond the newest lease', () => {
    expect(beyond({ grantedSensitivities: [] }, { sensitivity: 'low' })).toEqual({ follows: 'the-last' })
    expect(beyond({ grantedSensitivities: ['medium'] }, { sensitivity: 'high' })).toEqual({ follows: 'by-medium' })
  })

  test('what the account had in another session is none of this one', () => {
    const account = aSession({ kind: 'account' })
    const fresh = aSession({ granted: [], grantedAccess: [], grantedTtls: [] })
    expect(
      escalationOf([account, fresh], { access: 'admin', resource: aResource('critical'), ttlSeconds: 600 }),
    ).toBeNull()
  })
})
