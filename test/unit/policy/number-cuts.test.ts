// Which numbers of the context a policy turns on, and how far they may move before it would say something else.
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { policyToJson } from '../../../src/policy/cedar.js'
import { cutsOf, joinCuts, type NumberCuts, rangesOf, roundDown } from '../../../src/policy/number-cuts.js'
import { exampleInput, nothingHeld } from '../../support/example-config.js'

function cuts(condition: string) {
  const answer = policyToJson(`@id("a") permit (principal, action, resource) when { ${condition} };`)
  if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors))
  return cutsOf(answer.json)
}
const none: NumberCuts = {
  requested_ttl_seconds: [],
  recent_denials: [],
  'task.age_seconds': [],
  'task.depth': [],
  'task.active_leases': [],
  'session.active_leases': [],
  'account.active_leases': [],
}
const wholeTask = { 'task.age_seconds': null, 'task.depth': null, 'task.active_leases': null }
const everyNumber = Object.fromEntries(Object.keys(none).map((path) => [path, null]))

describe('what is compared', () => {
  test.each([
    ['context.session.active_leases < 3', { ...none, 'session.active_leases': [3] }],
    ['context.session.active_leases >= 3', { ...none, 'session.active_leases': [3] }],
    ['context.account.active_leases <= 3', { ...none, 'account.active_leases': [4] }],
    ['context.account.active_leases > 3', { ...none, 'account.active_leases': [4] }],
    ['context.task.active_leases == 2', { ...none, 'task.active_leases': [2, 3] }],
    ['!(context.task.active_leases != 2)', { ...none, 'task.active_leases': [2, 3] }],
    ['3 > context.task.active_leases', { ...none, 'task.active_leases': [3] }],
    ['3 < context.task.active_leases', { ...none, 'task.active_leases': [4] }],
    ['3 <= context["task"]["active_leases"]', { ...none, 'task.active_leases': [3] }],
    [
      'context.task.active_leases < 1 || context.session.active_leases < 2',
      { ...none, 'task.active_leases': [1], 'session.active_leases': [2] },
    ],
    ['context.session.holding.contains("x") && context.task.depth < 3', { ...none, 'task.depth': [3] }],
    [
      'context.recent_denials > 3 && 60 >= context.requested_ttl_seconds',
      { ...none, recent_denials: [4], requested_ttl_seconds: [61] },
    ],
    ['context has session && context.session has active_leases', none],
    ['{ Var: "context" }.Var == "context"', none],
  ])('by %s', (condition, expected) => expect(cuts(condition)).toEqual(expected))

  test.each([
    ['context.session.active_leases + 1 < 4', { ...none, 'session.active_leases': null }],
    [
      'context.session.active_leases < context.account.active_leases',
      { ...none, 'session.active_leases': null, 'account.active_leases': null },
    ],
    ['[1, 2].contains(context.task.active_leases)', { ...none, 'task.active_leases': null }],
    ['context.account == context.session', { ...none, 'session.active_leases': null, 'account.active_leases': null }],
    ['{ all: context } == { all: context }', everyNumber],
    [
      'if context.task.age_seconds > 5 then true else -context.task.active_leases < 2',
      { ...none, 'task.age_seconds': [6], 'task.active_leases': null },
    ],
    ['context.task == { age_seconds: 1, depth: 0, active_leases: 2 }', { ...none, ...wholeTask }],
    ['(if context.escalation then context.task else context.task).depth > 1', { ...none, ...wholeTask }],
  ])('in a way of its own by %s: each count matters', (condition, expected) =>
    expect(cuts(condition)).toEqual(expected),
  )
})

describe('a range', () => {
  test('is the count itself where each one matters, and none where nobody reads it', () => {
    const ranges = rangesOf(
      { ...none, 'task.active_leases': null, 'account.active_leases': [3] },
      exampleInput(counted(7, 5, 2)),
    )
    expect(ranges).toEqual([
      { of: 'task', min: 7, max: 7 },
      { of: 'account', min: 0, max: 2 },
    ])
  })

  test('holds exactly the counts around this one that every comparison answers alike', () => {
    const operators = ['<', '<=', '>', '>=', '==', '!='] as const
    const holds: Record<(typeof operators)[number], (a: number, b: number) => boolean> = {
      '<': (a, b) => a < b,
      '<=': (a, b) => a <= b,
      '>': (a, b) => a > b,
      '>=': (a, b) => a >= b,
      '==': (a, b) => a === b,
      '!=': (a, b) => a !== b,
    }
    const small = fc.integer({ min: 0, max: 12 })
    const comparison = fc.record({ operator: fc.constantFrom(...operators), literal: small, isMirrored: fc.boolean() })
    fc.assert(
      fc.property(fc.array(comparison, { minLength: 1, maxLength: 4 }), small, (comparisons, count) => {
        const all = comparisons.map(({ operator, literal, isMirrored }) => {
          const count = 'context.session.active_leases'
          return cuts(isMirrored ? `${literal} ${operator} ${count}` : `${count} ${operator} ${literal}`)
        })
        const answers = (at: number) =>
          comparisons
            .map(({ operator, literal, isMirrored }) =>
              holds[operator](...(isMirrored ? swap(at, literal) : pair(at, literal))),
            )
            .join()
        const [range] = rangesOf(joinCuts(all), exampleInput(counted(0, count, 0)))
        const { min = 0, max = 0 } = range ?? {}
        for (let at = min; at <= Math.min(max, 20); at++) expect(answers(at)).toBe(answers(count))
        if (min > 0) expect(answers(min - 1)).not.toBe(answers(count))
        if (max < 20) expect(answers(max + 1)).not.toBe(answers(count))
      }),
      { numRuns: 200 },
    )
  })
})

test('numbers are rounded down to where decisions turn, and left alone where each one matters', () => {
  const input = exampleInput({ ...counted(7, 9, 5), requestedTtlSeconds: 900, recentDenials: 4 })
  const rounded = roundDown(
    {
      ...none,
      requested_ttl_seconds: [60, 300, 901],
      recent_denials: [5],
      'session.active_leases': null,
      'account.active_leases': [5],
    },
    input,
  )
  expect(rounded).toEqual({
    ...input,
    ...counted(0, 9, 5),
    task: { ageSeconds: 0, depth: 0, activeLeases: 0 },
    requestedTtlSeconds: 300,
    recentDenials: 0,
  })
})

const counted = (task: number, session: number, account: number) => ({
  task: { ageSeconds: 3, depth: 2, activeLeases: task },
  session: { ...nothingHeld, activeLeases: session },
  account: { ...nothingHeld, activeLeases: account },
})
const pair = (a: number, b: number): [number, number] => [a, b]
const swap = (a: number, b: number): [number, number] => [b, a]
