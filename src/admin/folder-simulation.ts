// The decisions of audit folders against a candidate: who would gain, who would lose, what changes.
import type { SimulatedChange } from '../api/simulate.js'
import { ChangeTally } from '../broker/change-tally.js'
import { verdictView } from '../broker/compare-verdicts.js'
import { decideAgain } from '../broker/decide-again.js'
import { systemClock } from '../core/clock.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { CommandOutput } from './command-output.js'
import { createProgress } from './progress.js'
import { type DecisionFilter, openAuditFolders, readDecisions } from './recorded-decisions.js'

/** Of audit folders. Over HTTP the same comes in pages (simulate-recorded.ts). */
export interface FolderSimulation {
  readonly candidate: string
  readonly decisions: number
  readonly gains: number
  readonly losses: number
  readonly changes: number
  readonly unchanged: number
  /** Records that cannot be decided again: of an earlier version, altered, or not a decision's form. */
  readonly skipped: number
  readonly groups: readonly SimulatedChange[]
  readonly not_listed: number
}

const maxGroups = 10_000

/** Throws UsageError for a folder without any audit, and the file system's error. */
export async function simulateFolders(
  directories: readonly string[],
  filter: DecisionFilter,
  candidate: PolicyEngine,
  output: Pick<CommandOutput, 'note'>,
): Promise<FolderSimulation> {
  const tally = new ChangeTally(maxGroups)
  let skipped = 0
  const progress = createProgress(output, systemClock, () => {
    const { gain, loss } = tally.counts
    return `${tally.decisions} decisions, ${loss} would lose, ${gain} would gain`
  })
  for await (const { decision, isAltered } of readDecisions(await openAuditFolders(directories), filter)) {
    if (decision === 'unreadable' || decision.basis === null || isAltered) skipped++
    else tally.add(decision, verdictView(decision.verdict), verdictView(decideAgain(candidate, decision.basis)))
    progress.tick()
  }
  return {
    candidate: candidate.hash,
    skipped,
    ...tally.sums(),
  }
}
