// Which orders stand on a timeline: those on what it is about, never those on what its worker claims.
import { expect, test } from '@jest/globals'
import type { AuditEntry } from '../../../src/api/audit.js'
import { OrderMatcher } from '../../../src/broker/order-matcher.js'

const entry = (event: string, seconds: number, more: object): AuditEntry => ({
  event,
  time: `2031-05-06T07:08:0${seconds}.000Z`,
  seq: seconds,
  instance: 'one',
  ...more,
})

test('a claimed action or resource shows no order on it, and what was decided does', () => {
  const matcher = new OrderMatcher()
  matcher.learn(entry('task.opened', 1, { task: 'task_1', principal: 'ci:web' }))
  matcher.learn(entry('tool.called', 2, { task: 'task_1', action: 'account.delete', resource: 'repo:acme/secret' }))
  matcher.learn(entry('lease.issued', 2, { task: 'task_1', resource: 'repo:acme/web' }))
  matcher.learn(entry('task.ended', 4, { task: 'task_1' }))
  const isTold = (target: object) => matcher.matches(entry('lock.set', 3, { target }))
  expect(isTold({ resource: 'repo:acme/secret' })).toBe(false)
  expect(isTold({ action: 'account.delete' })).toBe(false)
  expect(isTold({ resource: 'repo:acme/web' })).toBe(true)
  expect(isTold({ principal: 'ci:web' })).toBe(true)
})

test('the word by which changed rules ended a lease of it, and no other', () => {
  const matcher = new OrderMatcher()
  matcher.learn(entry('task.opened', 1, { task: 'task_1', principal: 'ci:web' }))
  matcher.learn(entry('lease.redecided', 4, { task: 'task_1', lease: 'lease_1', rules: 'abc', policies: ['frozen'] }))
  const isTold = (rules: string) => matcher.matches(entry('rules.change_applied', 3, { rules, actor: 'staff:olga' }))
  expect([isTold('abc'), isTold('abd')]).toEqual([true, false])
})
