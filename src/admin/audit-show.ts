// `hallpass audit show`: records from the files, filtered, as one sequence over all hosts.
import type { StoredRecord } from '../audit/read-records.js'
import { type AuditFilter, matcherOf } from '../broker/read-audit.js'
import { withoutControls } from '../cli/output.js'
import { readFolders } from './audit-folders.js'
import type { CommandOutput } from './command-output.js'
import { wordsOf } from './record-words.js'

export interface AuditShowCommand {
  readonly directories: readonly string[]
  readonly filter: AuditFilter
  /** At most so many, the newest. */
  readonly limit: number
}

/** 0; 1 where the files cannot be read. */
export async function showAudit(command: AuditShowCommand, output: CommandOutput): Promise<number> {
  const matches = matcherOf(command.filter)
  const records: StoredRecord[] = []
  let matched = 0
  try {
    for await (const record of readFolders(command.directories)) {
      if (!matches(record)) continue
      matched++
      records.push(record)
      // Cut in pieces: cutting at each record would cost as much as all that are kept.
      if (records.length >= 2 * command.limit) records.splice(0, records.length - command.limit)
    }
  } catch (error) {
    output.note(`hallpass: the audit cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
  const shown = records.slice(-command.limit)
  output.print({ records: shown, matched }, shown.map(lineOf).join('\n'))
  if (matched === 0) output.note('hallpass: no record matches')
  if (matched > shown.length)
    output.note(`hallpass: the newest ${shown.length} of ${matched} records; see --limit, --from and --to`)
  return 0
}

const lineOf = (record: StoredRecord) =>
  withoutControls(`${record.time}  ${record.instance}:${record.seq}  ${record.task ?? '-'}  ${wordsOf(record)}`)
