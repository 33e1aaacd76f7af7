// What a chain of principals is answered together.
import { describe, expect, test } from '@jest/globals'
import { type Hop, isOutside, joinHops, recordedPrincipal } from '../../../src/broker/hops.js'
import type { DenyReason, Verdict } from '../../../src/policy/decision.js'
import { aTask } from '../../support/ledger.js'

const offer = (policy: string) => ({ policy, maxTtlSeconds: null, approval: null, binding: null })
const permit = (policy: string, ttlSeconds = 60): Verdict => ({
  effect: 'permit',
  policies: [policy],
  offer: offer(policy),
  ttlSeconds,
})
const wants = (policy: string, ...approvals: { group: string; count: number }[]): Verdict => ({
  effect: 'approval_required',
  policies: [policy],
  offer: offer(policy),
  ttlSeconds: 60,
  approvals,
})
const deny = (reason: DenyReason): Verdict => ({ effect: 'deny', code: 'denied', reason, policies: ['no'] })
const hop = (verdict: Verdict, task = 'task_above') => ({ task, verdict }) as Hop

describe('a chain is answered', () => {
  test('with the least lifetime, the policies of all, and the offer that the caller was given', () => {
    expect(joinHops(permit('a', 300), [hop(permit('b', 30)), hop(permit('a', 90))], false)).toEqual({
      verdict: { effect: 'permit', policies: ['a', 'b'], offer: offer('a'), ttlSeconds: 30 },
      deniedBy: null,
    })
  })

  test('with all approvals; of one group the larger number', () => {
    const above = [hop(wants('b', { group: 'dba', count: 2 })), hop(wants('c', { group: 'dba', count: 1 }))]
    const own = wants('a', { group: 'lead', count: 1 }, { group: 'dba', count: 1 })
    expect(joinHops(own, above, false).verdict).toMatchObject({
      effect: 'approval_required',
      policies: ['a', 'b', 'c'],
      approvals: [
        { group: 'lead', count: 1 },
        { group: 'dba', count: 2 },
      ],
    })
    expect(joinHops(permit('a'), [above[0] as Hop], false).verdict).toMatchObject({
      effect: 'approval_required',
      offer: offer('a'),
      approvals: [{ group: 'dba', count: 2 }],
    })
  })

  test('by any denial, the nearest first; the own and the ceiling before those above', () => {
    const [near, far] = [hop(deny('forbidden'), 'near'), hop(deny('no_permit'), 'far')]
    expect(joinHops(wants('a'), [hop(permit('b')), near, far], false)).toEqual({
      verdict: near.verdict,
      deniedBy: near,
    })
    expect(joinHops(deny('lifetime'), [near], false)).toEqual({ verdict: deny('lifetime'), deniedBy: null })
    expect(joinHops(permit('a'), [near], true).verdict).toMatchObject({ reason: 'outside_ceiling', policies: [] })
    const unbound: Verdict = { effect: 'deny', code: 'binding_required', policies: ['b'] }
    expect(joinHops(permit('a'), [hop(unbound)], false).verdict).toEqual(unbound)
  })
})

test('a pair is inside only where every ceiling has the very pair', () => {
  const [reads, writes] = [['read', 'repo:a'] as const, ['write', 'repo:a'] as const]
  expect(isOutside([], 'read', 'repo:a')).toBe(false)
  expect(isOutside([[reads, writes], [reads]], 'read', 'repo:a')).toBe(false)
  expect(isOutside([[reads, writes], [reads]], 'write', 'repo:a')).toBe(true)
  expect(isOutside([[['read', 'repo:b']], [reads]], 'read', 'repo:a')).toBe(true)
  expect(isOutside([[]], 'read', 'repo:a')).toBe(true)
})

test('whoever opened a task is judged as it was verified then, subject and binding too', () => {
  const task = aTask({
    principal: 'ci:repo:acme/web:ref:x',
    account: 'ci:1',
    attributes: { ref: 'x' },
    binding: 'mtls',
  })
  expect(recordedPrincipal(task)).toMatchObject({
    id: 'ci:repo:acme/web:ref:x',
    issuer: 'ci',
    subject: 'repo:acme/web:ref:x',
    use: 'workload',
    account: 'ci:1',
    attributes: { ref: 'x' },
    binding: 'mtls',
    sessionSeconds: 28_800,
  })
  expect(recordedPrincipal(aTask()).binding).toBe('none')
})

test('whoever opened a task is nobody else: its own run, as the sub-agent that it was, and an operator never', () => {
  expect(recordedPrincipal(aTask({ account: 'ci:web', instance: 'run-1', delegation: 'dlg_1', agent: 'a' }))).toEqual({
    id: 'ci:web',
    issuer: 'ci',
    subject: 'web',
    use: 'workload',
    attributes: {},
    account: 'ci:web',
    instance: 'run-1',
    sessionSeconds: 28_800,
    binding: 'none',
    person: null,
    tokenSha256: '',
    tokenExpiresAt: 0,
    delegation: 'dlg_1',
    agent: 'a',
  })
  // Handed on to another principal, it acts under its own name.
  expect(recordedPrincipal(aTask({ delegation: 'dlg_1' }))).not.toHaveProperty('delegation')
  expect(recordedPrincipal(aTask({ holders: [] })).sessionSeconds).toBe(0)
})
