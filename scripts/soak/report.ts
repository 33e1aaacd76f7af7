// Counts and checks as a table, or as JSON.
import type { Lease } from '../../src/ledger/lease.js'
import { type Book, type Check, checks } from './book.js'

export interface Outcome {
  readonly seed: number
  readonly seconds: number
  readonly handed: number
  readonly leases: number
  readonly records: number
  readonly looks: number
  readonly answers: Readonly<Record<string, number>>
  /** `<provider> <state>` → how many. */
  readonly states: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
  readonly callsHarmed: Readonly<Record<string, number>>
  readonly checks: readonly { readonly check: Check; readonly text: string; readonly found: number }[]
  /** The first hundred of what was found. */
  readonly wrong: readonly string[]
  readonly passed: boolean
}

interface Measured {
  readonly seed: number
  readonly seconds: number
  readonly leases: ReadonlyMap<string, Lease>
  readonly records: number
  readonly looks: number
  readonly harmed: Readonly<Record<string, ReadonlyMap<string, number>>>
}

export function outcomeOf(book: Book, { seed, seconds, leases, records, looks, harmed }: Measured): Outcome {
  const states = new Map<string, number>()
  for (const { record, state } of leases.values()) {
    const key = `${record.provider} ${state}`
    states.set(key, (states.get(key) ?? 0) + 1)
  }
  const calls = Object.entries(harmed).flatMap(([side, moods]) =>
    [...moods].map(([mood, count]) => [`${side} ${mood}`, count] as const),
  )
  const found = (check: Check) => book.wrong.filter((one) => one.check === check).length
  return {
    seed,
    seconds,
    handed: book.handed.size,
    leases: leases.size,
    records,
    looks,
    answers: sorted(book.answers),
    states: sorted(states),
    faults: sorted(book.faults),
    callsHarmed: sorted(calls),
    checks: (Object.keys(checks) as Check[]).map((check) => ({ check, text: checks[check], found: found(check) })),
    wrong: book.wrong.slice(0, 100).map(({ check, what }) => `${checks[check]}: ${what}`),
    passed: book.wrong.length === 0,
  }
}

const sorted = (counts: Iterable<readonly [string, number]>) =>
  Object.fromEntries([...counts].sort(([a], [b]) => a.localeCompare(b)))

/** Requests, leases, faults and checks, one under the other, and what was found wrong. */
export function printTable(outcome: Outcome): string {
  const { seed, seconds, handed, leases, records, looks } = outcome
  return [
    `soak: seed ${seed}, ${Math.round(seconds)} s, ${leases} leases, ${handed} credentials handed out, ${records} audit records,`,
    `      the providers' lists read ${looks} times`,
    ...section('answers to requests', outcome.answers),
    ...section('leases by provider and state', outcome.states),
    ...section('faults', outcome.faults),
    ...section('calls to providers that were met by one', outcome.callsHarmed),
    'checks',
    ...outcome.checks.map(
      ({ text, found }) => `  ${String(found).padStart(7)}  ${text}${found > 0 ? '   FAILED' : ''}`,
    ),
    ...outcome.wrong.map((what) => `WRONG: ${what}`),
    outcome.passed ? 'passed' : `FAILED; again with --seed ${seed}`,
    '',
  ].join('\n')
}

const section = (title: string, counts: Readonly<Record<string, number>>) => [
  title,
  ...Object.entries(counts).map(([what, count]) => `  ${String(count).padStart(7)}  ${what}`),
]
