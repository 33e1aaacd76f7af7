// One beat: is the ledger still what we wrote to? What it lost of ours is written again from our own audit before anything
// more is issued; a ledger that came back empty waits for `hallpass recover`.
import type { StoredRecord } from '../audit/read-records.js'
import type { AuditSink } from '../audit/record.js'
import type { BeatAnswer, Continuity } from '../ledger/continuity.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Restoration } from '../ledger/restoration.js'
import type { Logger } from '../telemetry/logger.js'
import { Gathered } from './gathered.js'
import { replay } from './replay.js'

export interface ContinuityParts {
  readonly continuity: Continuity
  readonly ledger: Ledger
  readonly restoration: Restoration
  readonly audit: AuditSink
  readonly log: Logger
  /** Our own records above a sequence, from disk. */
  readonly ownRecords: (after: number) => AsyncIterable<StoredRecord>
  /** Writes down, on disk, for which incarnation this chain is written from here on. */
  readonly noteIncarnation: (incarnation: string) => Promise<void>
  readonly memoryMs: number
}

/** An effect may reach the ledger shortly after its record was flushed and its sequence told. */
const overlap = 200

/** Throws `ledger_unavailable`, `audit_unavailable`, or the disk's error: the next beat tries again, and nothing is issued. */
export async function keepContinuity(parts: ContinuityParts): Promise<void> {
  const { continuity } = parts
  const before = continuity.doubt
  const answer = await continuity.beat()
  if (answer.outcome === 'ok') return
  if (continuity.doubt !== before) await noteDoubt(parts, answer)
  if (answer.outcome === 'lost' && answer.successor === null) return
  await replayOwn(parts, answer)
  if (answer.outcome === 'lost' && answer.successor !== null) {
    await parts.noteIncarnation(answer.successor)
    continuity.adopt(answer.successor)
  }
  await continuity.beat(true)
}

async function replayOwn(parts: ContinuityParts, answer: Exclude<BeatAnswer, { outcome: 'ok' }>): Promise<void> {
  const gathered = new Gathered()
  for await (const record of parts.ownRecords(Math.max(0, answer.wal - overlap))) gathered.take(record)
  const done = await replay(parts, gathered, { memoryMs: parts.memoryMs, complete: false })
  const ledger = answer.outcome === 'lost' ? answer.successor : parts.continuity.incarnation
  const seen = { reflected: answer.wal, records: gathered.records, ...done }
  parts.log.warn({ ...seen, ledger }, 'what the ledger lacked of our records was written again')
  await parts.audit.append({ event: 'ledger.replayed', ledger, ...seen })
}

/** Once per doubt: in the log for whoever is paged, in the audit for whoever asks later. */
async function noteDoubt({ continuity, log, audit }: ContinuityParts, answer: BeatAnswer): Promise<void> {
  const { doubt } = continuity
  log.error({ ledger: continuity.incarnation, outcome: answer.outcome }, `nothing is issued: ${doubt}`)
  const record = { event: 'ledger.rolled_back', ledger: continuity.incarnation, outcome: answer.outcome } as const
  // Whether it can be written or not, what was lost is to be replayed.
  await audit.append(record).catch((error: unknown) => log.error({ err: error }, 'the doubt could not be recorded'))
}
