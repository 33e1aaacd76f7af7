// `hallpass audit replay`: each recorded decision made again by the policy set that made it. Says equal, or why not (I10).
import { type Difference, differencesOf, verdictView } from '../broker/compare-verdicts.js'
import { decideAgain } from '../broker/decide-again.js'
import { withoutControls } from '../cli/output.js'
import { loadConfig } from '../config/load.js'
import type { Environment } from '../config/yaml-source.js'
import { type Clock, systemClock } from '../core/clock.js'
import type { CommandOutput } from './command-output.js'
import { KeptEngines } from './kept-engines.js'
import { createProgress } from './progress.js'
import { type DecisionFilter, type FoundDecision, openAuditFolders, readDecisions } from './recorded-decisions.js'

export interface AuditReplayCommand {
  /** Audit folders, also gathered from several hosts; empty: the configuration's. */
  readonly directories: readonly string[]
  readonly config: string
  readonly env?: Environment
  readonly filter: DecisionFilter
  readonly clock?: Clock
}

/**
 * differs: the same input gave another answer. set_missing, set_altered, set_unreadable: there is nothing to decide by.
 * altered: the chain says that the record was changed. incomplete: of a version that did not keep all of the basis.
 * unreadable: not a decision's form.
 */
type Why = 'differs' | 'set_missing' | 'set_altered' | 'set_unreadable' | 'altered' | 'incomplete' | 'unreadable'

export interface UnequalDecision {
  readonly decision: string | null
  readonly chain: string
  readonly seq: number
  readonly time: string
  readonly why: Why
  readonly detail?: string
  /** Recorded (`before`) and decided again (`after`), also where the record was altered and can still be read. */
  readonly differences: readonly Difference[]
}

export interface AuditReplay {
  readonly ok: boolean
  readonly decisions: number
  readonly equal: number
  readonly by_reason: Readonly<Partial<Record<Why, number>>>
  /** At most 1,000. */
  readonly unequal: readonly UnequalDecision[]
  /** What is wrong with the chains, whether it is a decision or not. */
  readonly problems: readonly string[]
}

const maxListed = 1000

/** Prints the result. Returns the exit code: 0 all equal and the chains intact, 1 otherwise, also when nothing was found. */
export async function replayAudit(command: AuditReplayCommand, output: CommandOutput): Promise<number> {
  const directories = await directoriesOf(command)
  const result = await replayDecisions(directories, command.filter, output, command.clock ?? systemClock)
  output.print(result, describe(result))
  return result.ok ? 0 : 1
}

async function directoriesOf({ directories, config, env }: AuditReplayCommand): Promise<readonly string[]> {
  if (directories.length > 0) return directories
  const { settings } = await loadConfig(config, env)
  return [settings.audit.directory]
}

/** Throws UsageError for a folder without any audit, and the file system's error. */
export async function replayDecisions(
  directories: readonly string[],
  filter: DecisionFilter,
  output: Pick<CommandOutput, 'note'>,
  clock: Clock = systemClock,
): Promise<AuditReplay> {
  const folders = await openAuditFolders(directories)
  const engines = new KeptEngines(directories)
  const unequal: UnequalDecision[] = []
  const reasons: Partial<Record<Why, number>> = {}
  let decisions = 0
  let failed = 0
  const progress = createProgress(output, clock, () => `${decisions} decisions replayed, ${failed} not equal`)
  for await (const found of readDecisions(folders, filter)) {
    decisions++
    const judged = await judge(engines, found)
    progress.tick()
    if (judged === 'equal') continue
    failed++
    reasons[judged.why] = (reasons[judged.why] ?? 0) + 1
    if (unequal.length < maxListed) unequal.push(judged)
  }
  const problems = folders.flatMap(({ directory, verification }) =>
    verification.problems.map(({ file, line, message }) => `${directory}: ${file}:${line}: ${message}`),
  )
  const ok = failed === 0 && decisions > 0 && problems.length === 0
  return { ok, decisions, equal: decisions - failed, by_reason: reasons, unequal, problems }
}

async function judge(
  engines: KeptEngines,
  { decision, chain, seq, time, isAltered }: FoundDecision,
): Promise<UnequalDecision | 'equal'> {
  const base = { decision: decision === 'unreadable' ? null : decision.id, chain, seq, time, differences: [] }
  if (decision === 'unreadable') return { ...base, why: isAltered ? 'altered' : 'unreadable' }
  if (decision.basis === null) return { ...base, why: isAltered ? 'altered' : 'incomplete' }
  const kept = await engines.engineOf(decision.policySet)
  if (kept.outcome === 'unreadable') return { ...base, why: 'set_unreadable', detail: kept.why }
  if (kept.outcome !== 'found') return { ...base, why: `set_${kept.outcome}`, detail: decision.policySet }
  const again = decideAgain(kept.engine, decision.basis)
  const differences = differencesOf(verdictView(decision.verdict), verdictView(again))
  if (isAltered) return { ...base, why: 'altered', differences }
  return differences.length === 0 ? 'equal' : { ...base, why: 'differs', differences }
}

const explanations: Record<Why, string> = {
  differs: 'decided otherwise',
  set_missing: 'its policy set is not kept here',
  set_altered: 'its policy set was altered',
  set_unreadable: 'its policy set cannot be read by this version',
  altered: 'the record was altered',
  incomplete: 'recorded by a version that did not keep all it was decided on',
  unreadable: 'not the form of a decision',
}

function describe({ ok, decisions, equal, unequal, problems, by_reason }: AuditReplay): string {
  const left = Object.values(by_reason).reduce((sum, count) => sum + count, 0) - unequal.length
  const verdict = ok ? 'all equal' : decisions === 0 ? 'no decisions found' : 'NOT ALL EQUAL'
  return [
    `${verdict}: ${equal} of ${decisions} decisions replayed to the same answer`,
    ...unequal.map(({ decision, chain, seq, why, detail, differences }) => {
      const members = differences.map(
        ({ member, before, after }) => `${member}: ${JSON.stringify(before)} recorded, ${JSON.stringify(after)} now`,
      )
      const more = [detail, ...members].filter((part) => part !== undefined).join('; ')
      const what = `${decision ?? '?'} (${chain}, record ${seq}): ${explanations[why]}`
      return more === '' ? what : `${what}: ${more}`
    }),
    ...(left > 0 ? [`and ${left} more`] : []),
    ...problems.map((problem) => `chain: ${problem}`),
  ]
    .map(withoutControls)
    .join('\n')
}
