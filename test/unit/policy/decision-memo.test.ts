// Answers from memory: only to exactly the same question, only what was sure, and never without bound.
import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createDecisionMemo } from '../../../src/policy/decision-memo.js'
import { createPolicyEngine } from '../../../src/policy/engine.js'
import { exampleInput, loadExample, nothingHeld, wideBounds, workload } from '../../support/example-config.js'

describe('what was answered', () => {
  test('is not asked again, and what was not sure is', () => {
    const memo = createDecisionMemo<string>()
    const asked: string[] = []
    const ask = (question: string) =>
      memo.answerTo(
        question,
        () => {
          asked.push(question)
          return `${question}!`
        },
        (answer) => answer !== 'unsure!',
      )
    expect(['a', 'b', 'a', 'unsure', 'unsure', 'b'].map(ask)).toEqual(['a!', 'b!', 'a!', 'unsure!', 'unsure!', 'b!'])
    expect(asked).toEqual(['a', 'b', 'unsure', 'unsure'])
  })

  test('is forgotten when there is too much of it', () => {
    const memo = createDecisionMemo<number>()
    const asked: number[] = []
    const ask = (question: number) =>
      memo.answerTo(
        String(question),
        () => asked.push(question),
        () => true,
      )
    for (let i = 0; i < 10_000; i++) ask(i)
    ask(9_999)
    ask(0)
    expect(asked).toHaveLength(10_001)
  })

  test('is forgotten when it is few and long, and what is too long is not kept at all', () => {
    const memo = createDecisionMemo<number>()
    let asked = 0
    const ask = (question: string) =>
      memo.answerTo(
        question,
        () => ++asked,
        () => true,
      )
    const long = (i: number) => `${i} ${'x'.repeat(60_000)}`
    for (let i = 0; i < 200; i++) ask(long(i))
    ask(long(199))
    ask(long(0))
    expect(asked).toBe(201)
    const endless = 'x'.repeat(100_000)
    ask(endless)
    ask(endless)
    expect(asked).toBe(203)
  })
})

let example: Awaited<ReturnType<typeof loadExample>>
beforeAll(async () => {
  example = await loadExample()
})

test('an engine that has decided much decides as one that has decided nothing', () => {
  const { policySet, groups, catalogue } = example
  const { grants } = catalogue
  const old = createPolicyEngine({ policySet, grants, groups })
  const sets = fc.subarray(['database.migrate', 'deploy.run', 'config.read'])
  const asked = fc.record({
    who: fc.constantFrom('repo:acme/web:ref:refs/heads/main', 'repo:acme/api:ref:refs/heads/main'),
    environment: fc.constantFrom('production', 'staging'),
    action: fc.constantFrom('deploy.run', 'database.migrate', 'settings.read'),
    change: fc.constantFrom('schema', 'data'),
    granted: sets,
    depth: fc.integer({ min: 0, max: 4 }),
    leases: fc.integer({ min: 0, max: 3 }),
    bound: fc.boolean(),
  })
  fc.assert(
    fc.property(asked, ({ who, action, change, granted, depth, leases, bound, environment }) => {
      const resource = example.catalogue.findResource(
        action === 'database.migrate' ? 'database:orders' : 'repo:acme/web',
      )
      if (resource === undefined) throw new Error('no resource')
      const input = exampleInput({
        principal: workload('ci', who, { repository: 'acme/web', environment, repository_id: '1296269' }),
        action,
        resource,
        declared: { change_type: change, ticket: 'OPS-1' },
        session: { ...nothingHeld, granted, grantedAccess: granted.length > 1 ? ['deploy'] : [], activeLeases: leases },
        task: { ageSeconds: leases, depth, activeLeases: leases },
      })
      const bounds = { ...wideBounds, binding: bound ? ('dpop' as const) : ('none' as const) }
      const fresh = createPolicyEngine({ policySet, grants, groups })
      expect(old.decide(input, bounds)).toEqual(fresh.decide(input, bounds))
    }),
    { numRuns: 150 },
  )
})
