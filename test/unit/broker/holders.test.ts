// Whom a lease is counted against, and what of that a policy is told: an account apart from a session, one hop apart from another.
import { describe, expect, test } from '@jest/globals'
import { holdersOf, holdingsOf, ownHolders, withHeld, withHoldersAbove } from '../../../src/broker/holders.js'
import { holderId } from '../../../src/ledger/keys.js'
import type { HolderLook } from '../../../src/ledger/way-out.js'
import { aWorkload } from '../../support/story-config.js'

const look = (id: string, kind: 'account' | 'session', over: Partial<HolderLook> = {}): HolderLook => ({
  id,
  kind,
  version: '0',
  activeLeases: 1,
  holding: [`${id} holding`],
  holdingAccess: ['read'],
  holdingResources: [`${id} holdingResources`],
  granted: [`${id} granted`],
  grantedAccess: ['write'],
  grantedResources: [`${id} grantedResources`],
  grantedSensitivities: [`${id} sensitivity`],
  grantedTtls: [60],
  recentDenials: 0,
  lastLease: null,
  ...over,
})

describe('a lease is counted against', () => {
  test('the account and the run, whose memory lasts as long as the run does', () => {
    const principal = aWorkload('web', { instance: 'run-1', sessionSeconds: 60 })
    expect(holdersOf(principal, 3600)).toEqual([
      { id: holderId('account', 'ci:web'), kind: 'account', windowMs: 3_600_000 },
      { id: holderId('session', 'ci:web#run-1'), kind: 'session', windowMs: 0 },
    ])
  })

  test('the account within a window, where the issuer names no run', () => {
    expect(holdersOf(aWorkload('web', { sessionSeconds: 60 }), 3600)[1]).toEqual({
      id: holderId('session', 'ci:web'),
      kind: 'session',
      windowMs: 60_000,
    })
  })

  test('everybody above too, each once, its own first', () => {
    const [own, parent] = [holdersOf(aWorkload('web'), 60), holdersOf(aWorkload('api'), 60)]
    expect(withHoldersAbove(own, [...parent, ...own])).toEqual([...own, ...parent])
  })
})

describe('of all holders of a chain', () => {
  const principal = aWorkload('web', { instance: 'run-1' })
  const [account, session] = holdersOf(principal, 60).map(({ id, kind }) => look(id, kind))
  const others = [
    ...holdersOf(aWorkload('api'), 60),
    ...holdersOf(aWorkload('web', { instance: 'run-2' }), 60).slice(1),
  ]

  test("one hop's own are its account's and its run's alone", () => {
    const all = [...others, account, session] as { id: string }[]
    expect(ownHolders(all, principal)).toEqual([account, session])
  })

  test('a policy is told of the accounts apart from the sessions, of several together', () => {
    const looks = [look('b', 'account'), look('s', 'session'), look('a', 'account', { activeLeases: 2 })]
    expect(holdingsOf(looks, 'account')).toEqual({
      activeLeases: 3,
      holding: ['a holding', 'b holding'],
      holdingAccess: ['read'],
      holdingResources: ['a holdingResources', 'b holdingResources'],
      granted: ['a granted', 'b granted'],
      grantedAccess: ['write'],
      grantedResources: ['a grantedResources', 'b grantedResources'],
    })
    expect(holdingsOf(looks, 'session')).toMatchObject({ activeLeases: 1, holding: ['s holding'] })
    expect(holdingsOf([], 'session').activeLeases).toBe(0)
  })
})

test('once something more is held, it is held and granted by every holder', () => {
  const resource = { id: 'repo:x', type: 'repo', attributes: { sensitivity: 'high' } }
  const held = { action: 'x.write', access: 'admin', resource, ttlSeconds: 90 } as const
  expect(withHeld([look('a', 'account')], held)).toEqual([
    look('a', 'account', {
      activeLeases: 2,
      holding: ['a holding', 'x.write'],
      holdingAccess: ['read', 'admin'],
      holdingResources: ['a holdingResources', 'repo:x'],
      granted: ['a granted', 'x.write'],
      grantedAccess: ['write', 'admin'],
      grantedResources: ['a grantedResources', 'repo:x'],
      grantedSensitivities: ['a sensitivity', 'high'],
      grantedTtls: [60, 90],
    }),
  ])
  const plain = { ...held, resource: { ...resource, attributes: {} } }
  expect(withHeld([look('a', 'account')], plain)[0]?.grantedSensitivities).toEqual(['a sensitivity'])
})
