// What is printed of policy tests: one line per case, what a failed one saw, and which policies no case determines.
import { formatTable } from '../cli/output.js'
import type { PolicySet } from '../policy/policy-set.js'
import type { PolicyTest } from './policy-test-file.js'
import type { Outcome } from './situation-outcome.js'

export interface TestResult {
  readonly test: PolicyTest
  readonly seen: Outcome
  /** What differs from what was expected; empty: ok. */
  readonly differences: readonly string[]
}

export interface Coverage {
  /** Whole percent, rounded down: 100 only when every policy is determined by some case that is ok. */
  readonly percent: number
  readonly determined: number
  readonly policies: number
  readonly missed: readonly { readonly id: string; readonly file: string; readonly line: number }[]
}

/** What of the expectation was not seen; what a case does not name it does not ask. */
export function differencesOf({ expect }: PolicyTest, seen: Outcome): string[] {
  const differences: string[] = []
  const compare = (name: string, expected: string | number | null | undefined, actual: string | number | null) => {
    if (expected !== undefined && expected !== actual)
      differences.push(`${name}: expected ${expected}, saw ${actual ?? 'none'}`)
  }
  compare('effect', expect.effect, seen.effect)
  if (expect.policies !== undefined) compare('policies', listOf(expect.policies), listOf(seen.policies))
  compare('offer', expect.offer, seen.offer)
  compare(
    'ttl',
    expect.ttl === undefined ? undefined : `${expect.ttl} s`,
    seen.ttlSeconds === null ? null : `${seen.ttlSeconds} s`,
  )
  if (expect.approval !== undefined) compare('approval', listOf([expect.approval].flat()), listOf(seen.approvals))
  compare('reason', expect.reason, seen.reason)
  compare('code', expect.code, seen.code)
  return differences
}

const listOf = (names: readonly string[]) => (names.length === 0 ? 'none' : [...names].sort().join(', '))

/** Only cases that are ok count: a wrong answer shows nothing of the policy that gave it. */
export function coverageOf(set: PolicySet, results: readonly TestResult[]): Coverage {
  const determined = new Set(
    results.flatMap(({ seen, differences }) => (differences.length === 0 ? seen.policies : [])),
  )
  const missed = set.policies.filter(({ id }) => !determined.has(id)).map(({ id, file, line }) => ({ id, file, line }))
  const policies = set.policies.length
  const covered = policies - missed.length
  return { percent: Math.floor((covered * 100) / policies), determined: covered, policies, missed }
}

export function describeResults(results: readonly TestResult[], coverage: Coverage, hash: string): string {
  const rows = results.map(({ test, seen, differences }) => [
    test.name,
    seen.effect,
    listOf(seen.policies),
    differences.length === 0 ? 'ok' : 'FAIL',
  ])
  const failed = results.filter(({ differences }) => differences.length > 0)
  return [
    formatTable([['case', 'effect', 'policies', ''], ...rows]),
    '',
    ...failed.flatMap(({ test, seen, differences }) => [
      `FAIL ${test.file}:${test.line}: ${test.name}`,
      ...differences.map((difference) => `  ${difference}`),
      ...(seen.detail === null ? [] : [`  ${seen.detail}`]),
    ]),
    ...coverage.missed.map(({ id, file, line }) => `no case determines ${id} (${file}:${line})`),
    `${results.length - failed.length} ok, ${failed.length} failed; coverage ${coverage.percent} % (${coverage.determined} of ${coverage.policies} policies), set ${hash}`,
  ].join('\n')
}

/** The same for programs. */
export function resultsView(results: readonly TestResult[], coverage: Coverage, hash: string) {
  const failed = results.filter(({ differences }) => differences.length > 0).length
  return {
    policy_set: hash,
    passed: results.length - failed,
    failed,
    cases: results.map(({ test, seen, differences }) => ({
      file: test.file,
      line: test.line,
      name: test.name,
      ok: differences.length === 0,
      expected: test.expect,
      seen: { ...seen, ttlSeconds: undefined, ttl_seconds: seen.ttlSeconds },
      differences,
    })),
    coverage,
  }
}
