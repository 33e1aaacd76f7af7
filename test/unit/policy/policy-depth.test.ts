// A policy that nests too deep must not reach Cedar: it would leave its WebAssembly memory broken, and with it every later
// decision of the process.
import { expect, test } from '@jest/globals'
import { policyToJson } from '../../../src/policy/cedar.js'
import { depthOf, maxPolicyDepth } from '../../../src/policy/policy-depth.js'
import { asTakenThen, parsePolicySet } from '../../../src/policy/policy-set.js'

const shapes: Record<string, (n: number) => string> = {
  'terms in a row': (n) => Array.from({ length: n }, () => 'context.recent_denials > 1').join(' || '),
  parentheses: (n) => `${'('.repeat(n)}true${')'.repeat(n)}`,
  sets: (n) => `${'['.repeat(n)}1${']'.repeat(n)} == [1]`,
  records: (n) => `${'{a: '.repeat(n)}1${'}'.repeat(n)} == {a: 1}`,
  members: (n) => `context${'.a'.repeat(n)}`,
  'indexed members': (n) => `context${'["a"]'.repeat(n)}`,
  calls: (n) => `context.a${'.contains(1)'.repeat(n)}`,
  'calls in calls': (n) => `${'[1].contains('.repeat(n)}1${')'.repeat(n)}`,
  negations: (n) => `${'!('.repeat(n)}true${')'.repeat(n)}`,
  sums: (n) => `1${' + 1'.repeat(n)} == 1`,
  conditions: (n) => `${'if true then true else '.repeat(n)}true`,
  clauses: (n) => `true }${' when { true }'.repeat(n)} when { true`,
}
const policy = (condition: string) => `@id("p") permit (principal, action, resource) when { ${condition} };`

test.each(Object.entries(shapes))('%s: refused with their place long before Cedar could break', async (_, shape) => {
  const deepest = Array.from({ length: maxPolicyDepth }, (__, i) => i + 1).filter(
    (n) => depthOf(policy(shape(n))) <= maxPolicyDepth,
  )
  // What is let through as deep as it may be, Cedar reads, and it still works afterwards.
  policyToJson(policy(shape(deepest.at(-1) ?? 0)))
  for (const n of [200, 2000]) {
    const set = parsePolicySet({ 'a.cedar': `// first\n${policy(shape(n))}` }, asTakenThen)
    await expect(set).rejects.toThrow(/^a\.cedar:2: nests more than 128 deep/)
  }
  expect(policyToJson('permit (principal, action, resource);').type).toBe('success')
})

test('strings, comments and other policies count for nothing', () => {
  const text = `"${'(('.repeat(500)}" == "\\"((" || true // ${'(('.repeat(500)}\n`
  expect(depthOf(policy(text))).toBeLessThan(20)
})
