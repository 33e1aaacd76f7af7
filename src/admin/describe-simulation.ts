// Simulations in words, for a terminal.
import type { RequestSimulation, SimulatedChange } from '../api/simulate.js'
import { formatTable } from '../cli/output.js'
import type { FolderSimulation } from './folder-simulation.js'

type Verdict = SimulatedChange['before']

export function describeRequest({ before, after, change, differences }: RequestSimulation): string {
  const lines = [`in force:  ${describeVerdict(before)}`]
  if (after !== null) lines.push(`candidate: ${describeVerdict(after)}`)
  const members = differences.map(({ member }) => member).join(', ')
  if (after !== null) lines.push(change === 'none' ? 'nothing changes' : `${words[change]}: ${members}`)
  return lines.join('\n')
}

const words = { gain: 'would gain', loss: 'would lose', change: 'would change' } as const

function describeVerdict({ effect, policies, code, reason, ttl_seconds, approvals, binding }: Verdict): string {
  const by = policies.length === 0 ? '' : ` by ${policies.join(', ')}`
  if (effect === 'deny') return `deny (${reason ?? code})${by}`
  const wanted = approvals.map(({ group, count }) => `${group}:${count}`)
  const needs = wanted.length === 0 ? '' : `, approval of ${wanted.join(' and ')}`
  return `${effect}${by}, ${ttl_seconds} s${needs}${binding === null ? '' : `, binding ${binding}`}`
}

export function describeRecorded(result: FolderSimulation): string {
  const { decisions, gains, losses, changes, unchanged, skipped, groups, not_listed } = result
  const rows = groups.map(({ kind, account, principal, action, before, after, decisions: count, examples }) => [
    words[kind],
    account,
    principal,
    action,
    `${describeVerdict(before)} → ${describeVerdict(after)}`,
    String(count),
    examples.map(({ decision }) => decision).join(' '),
  ])
  const heading = ['CHANGE', 'ACCOUNT', 'PRINCIPAL', 'ACTION', 'FROM → TO', 'DECISIONS', 'EXAMPLES']
  return [
    ...(rows.length === 0 ? [] : [formatTable([heading, ...rows])]),
    ...(not_listed > 0 ? [`and ${not_listed} decisions that change in ways not listed`] : []),
    `${decisions} decisions: ${losses} would lose, ${gains} would gain, ${changes} would change, ${unchanged} stay`,
    ...(skipped > 0 ? [`${skipped} records could not be decided again: see hallpass audit replay`] : []),
  ].join('\n')
}
