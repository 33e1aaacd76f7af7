// Which orders a story tells: those on what it was about, never those on what its worker claims.
import { expect, test } from '@jest/globals'
import type { AuditEntry } from '../../../src/api/audit.js'
import { StoryFacts } from '../../../src/broker/story-facts.js'

const entry = (event: string, seconds: number, more: object): AuditEntry => ({
  event,
  time: `2031-05-06T07:08:0${seconds}.000Z`,
  seq: seconds,
  instance: 'one',
  ...more,
})

test('a claimed action or resource shows no order on it, and what was decided does', () => {
  const facts = new StoryFacts()
  facts.take(entry('task.opened', 1, { task: 'task_1', principal: 'ci:web' }))
  facts.take(entry('tool.called', 2, { task: 'task_1', action: 'account.delete', resource: 'repo:acme/secret' }))
  facts.take(entry('lease.issued', 2, { task: 'task_1', resource: 'repo:acme/web' }))
  facts.take(entry('task.ended', 4, { task: 'task_1' }))
  const isTold = (target: object) => facts.concerns(entry('lock.set', 3, { target }))
  expect(isTold({ resource: 'repo:acme/secret' })).toBe(false)
  expect(isTold({ action: 'account.delete' })).toBe(false)
  expect(isTold({ resource: 'repo:acme/web' })).toBe(true)
  expect(isTold({ principal: 'ci:web' })).toBe(true)
})

test('the word by which changed rules ended a lease of it, and no other', () => {
  const facts = new StoryFacts()
  facts.take(entry('task.opened', 1, { task: 'task_1', principal: 'ci:web' }))
  facts.take(entry('lease.redecided', 4, { task: 'task_1', lease: 'lease_1', rules: 'abc', policies: ['frozen'] }))
  const isTold = (rules: string) => facts.concerns(entry('rules.change_applied', 3, { rules, actor: 'staff:olga' }))
  expect([isTold('abc'), isTold('abd')]).toEqual([true, false])
})
