// Decisions out of audit folders, for the commands that make them again: filtered, with what is wrong with their chains.
import { listChains } from '../audit/read-records.js'
import { type RecordSpan, readSpan } from '../audit/read-span.js'
import { type AuditVerification, verifyAuditDirectory } from '../audit/verify-chain.js'
import { decisionNeedle, type RecordedDecision, readDecision } from '../broker/recorded-decision.js'
import { UsageError } from '../cli/exit-codes.js'

export interface DecisionFilter extends RecordSpan {
  readonly task?: string | undefined
  readonly decision?: string | undefined
}

export interface FoundDecision {
  /** `unreadable`: a decision stands here that has not its form. */
  readonly decision: RecordedDecision | 'unreadable'
  readonly chain: string
  readonly seq: number
  readonly time: string
  /** The chain says that this record was changed. */
  readonly isAltered: boolean
}

export interface AuditFolder {
  readonly directory: string
  readonly chains: ReadonlyMap<string, string>
  readonly verification: AuditVerification
}

/** Lists and verifies. Throws UsageError for a folder that cannot be read or has no audit, else the file system's error. */
export async function openAuditFolders(directories: readonly string[]): Promise<AuditFolder[]> {
  const folders: AuditFolder[] = []
  for (const directory of directories) {
    const chains = await listChains(directory).catch((error: unknown) => {
      throw new UsageError(`${directory}: cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    })
    if (chains.size === 0) throw new UsageError(`${directory}: there is no audit here`)
    folders.push({ directory, chains, verification: await verifyAuditDirectory(directory) })
  }
  return folders
}

/** In the order of folders, chains and records. */
export async function* readDecisions(
  folders: readonly AuditFolder[],
  { task, decision: id, ...span }: DecisionFilter,
): AsyncGenerator<FoundDecision> {
  for (const { chains, verification } of folders) {
    for (const [chain, path] of chains) {
      const altered = alteredIn(verification, chain, chains.size)
      for await (const record of readSpan(path, span, id ?? decisionNeedle)) {
        if (task !== undefined && record.task !== task) continue
        const decision = readDecision(record)
        const { seq, time } = record
        if (decision === 'none' || (id !== undefined && decision !== 'unreadable' && decision.id !== id)) continue
        yield { decision, chain, seq, time, isAltered: altered.has(seq) }
      }
    }
  }
}

function alteredIn({ problems }: AuditVerification, chain: string, chains: number): Set<number> {
  const own = problems.filter(({ file }) => file.startsWith(`${chain}/`) || (chains === 1 && !file.includes('/')))
  return new Set(own.map(({ sequence }) => sequence))
}

/** RFC 3339 → epoch milliseconds. Throws UsageError. */
export function parseTime(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw new UsageError(`${option}: expected a time such as 2031-05-06T07:08:09Z, not "${text}"`)
  return at
}
