// Which counts of leases a policy turns on, and how far they may move before it would say something else.
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { policyToJson } from '../../../src/policy/cedar.js'
import { cutsOf, joinCuts, rangesOf } from '../../../src/policy/count-cuts.js'

function cuts(condition: string) {
  const answer = policyToJson(`@id("a") permit (principal, action, resource) when { ${condition} };`)
  if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors))
  return cutsOf(answer.json)
}
const none = { task: [], session: [], account: [] }

describe('what is compared', () => {
  test.each([
    ['context.session.active_leases < 3', { ...none, session: [3] }],
    ['context.session.active_leases >= 3', { ...none, session: [3] }],
    ['context.account.active_leases <= 3', { ...none, account: [4] }],
    ['context.account.active_leases > 3', { ...none, account: [4] }],
    ['context.task.active_leases == 2', { ...none, task: [2, 3] }],
    ['!(context.task.active_leases != 2)', { ...none, task: [2, 3] }],
    ['3 > context.task.active_leases', { ...none, task: [3] }],
    ['3 < context.task.active_leases', { ...none, task: [4] }],
    ['3 <= context["task"]["active_leases"]', { ...none, task: [3] }],
    ['context.task.active_leases < 1 || context.session.active_leases < 2', { ...none, task: [1], session: [2] }],
    ['context.session.holding.contains("x") && context.task.depth < 3', none],
    ['context has session && context.session has active_leases', none],
    ['{ Var: "context" }.Var == "context"', none],
  ])('by %s', (condition, expected) => expect(cuts(condition)).toEqual(expected))

  test.each([
    ['context.session.active_leases + 1 < 4', { ...none, session: null }],
    ['context.session.active_leases < context.account.active_leases', { task: [], session: null, account: null }],
    ['[1, 2].contains(context.task.active_leases)', { ...none, task: null }],
    ['context.account == context.session', { task: [], session: null, account: null }],
    ['{ all: context } == { all: context }', { task: null, session: null, account: null }],
    ['if context.task.age_seconds > 5 then true else -context.task.active_leases < 2', { ...none, task: null }],
  ])('in a way of its own by %s: each count matters', (condition, expected) =>
    expect(cuts(condition)).toEqual(expected),
  )
})

describe('a range', () => {
  test('is the count itself where each one matters, and none where nobody reads it', () => {
    const ranges = rangesOf({ task: null, session: [], account: [3] }, { task: 7, session: 5, account: 2 })
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
        const [range] = rangesOf(joinCuts(all), { task: 0, session: count, account: 0 })
        const { min = 0, max = 0 } = range ?? {}
        for (let at = min; at <= Math.min(max, 20); at++) expect(answers(at)).toBe(answers(count))
        if (min > 0) expect(answers(min - 1)).not.toBe(answers(count))
        if (max < 20) expect(answers(max + 1)).not.toBe(answers(count))
      }),
      { numRuns: 200 },
    )
  })
})

const pair = (a: number, b: number): [number, number] => [a, b]
const swap = (a: number, b: number): [number, number] => [b, a]
