// One beat: is the ledger still what we wrote to? What it lost of ours is written again from our own audit before anything
// more is issued; a ledger that came back empty waits for `hallpass recover`, and so does one that went back far.
import type { StoredRecord } from '../audit/read-records.js'
import { toTimestamp } from '../core/clock.js'
import type { BeatAnswer, Continuity } from '../ledger/continuity.js'
import type { Ledger } from '../ledger/ledger.js'
import { AuditProjection } from './audit-projection.js'
import { foundAll, replay } from './replay.js'
import { type BesideParts, replayBeside } from './replay-beside.js'

export interface ContinuityParts extends BesideParts {
  readonly continuity: Continuity
  readonly ledger: Ledger
  /** Our own records above a sequence, from disk. */
  readonly ownRecords: (after: number) => AsyncIterable<StoredRecord>
  /** Writes down, on disk, for which incarnation this chain is written from here on. */
  readonly noteIncarnation: (incarnation: string) => Promise<void>
}

type Doubtful = Exclude<BeatAnswer, { outcome: 'ok' }>
type Behind = Extract<BeatAnswer, { outcome: 'behind' }>

/** An effect may reach the ledger shortly after its record was flushed and its sequence told. */
const overlap = 200

/**
 * Further back than an append-only file's tail or a replica's lag: a snapshot. Instances that ended since it was taken have
 * records that nobody replays, so an operator has to say that all there is was gathered.
 */
const oldSnapshotMs = 60_000

/** Where the ledger knows nothing of us because it forgot us: it forgets whoever it has not seen for a month. */
const forgottenAfterMs = 30 * 86_400_000

/** Throws `ledger_unavailable`, `audit_unavailable`, or the disk's error: the next beat tries again, and nothing is issued. */
export async function keepContinuity(parts: ContinuityParts): Promise<void> {
  const { continuity } = parts
  const before = continuity.doubt
  // First: with the beat the doubt may be over, and a lock that was lost would be found by whoever it should have stopped.
  if (before !== null) await replayBeside(parts)
  const answer = await continuity.beat()
  if (answer.outcome === 'ok') return
  const isLoss = answer.outcome === 'lost' || answer.wentBack
  if (isLoss && continuity.doubt !== before) await noteDoubt(parts, answer.outcome)
  if (answer.outcome === 'lost' && answer.successor === null) return
  await replayOwn(parts, answer)
  if (answer.outcome === 'lost' && answer.successor !== null) {
    await parts.noteIncarnation(answer.successor)
    continuity.adopt(answer.successor)
  }
  await continuity.beat(true)
}

async function replayOwn(parts: ContinuityParts, answer: Doubtful): Promise<void> {
  const projection = new AuditProjection()
  let provenAt = answer.outcome === 'behind' ? (answer.ackedAt ?? 0) : 0
  for await (const record of parts.ownRecords(Math.max(0, answer.wal - overlap))) {
    // A lock is in the ledger before its record: up to `wal` it was there, and may have been removed by another instance since.
    if (record.event === 'lock.set' && record.seq <= answer.wal) continue
    provenAt = Math.max(provenAt, provenBy(record))
    projection.apply(record)
  }
  // Before anything is written: a crash in the middle must not leave it issuing.
  const wentFarBack = answer.outcome === 'behind' && (await pauseIfOld(parts, answer, provenAt))
  const done = await replay(parts, projection, { memoryMs: parts.memoryMs, complete: false })
  if (!wentFarBack && answer.outcome === 'behind' && !answer.wentBack && foundAll(done)) return
  const ledger = answer.outcome === 'lost' ? answer.successor : parts.continuity.incarnation
  const seen = { reflected: answer.wal, records: projection.records, ...done }
  parts.log.warn({ ...seen, ledger }, 'what the ledger lacked of our records was written again')
  await parts.audit.append({ event: 'ledger.replayed', ledger, ...seen })
}

/**
 * When the ledger was there and had all of ours, by what it said itself: a record's own time is this host's clock, which may be a
 * minute ahead of Redis's, and would make a snapshot of a short absence. 0 for what proves nothing.
 */
function provenBy(record: StoredRecord): number {
  const at =
    record.event === 'task.opened' ? record.opened_at : record.event === 'lease.reserved' ? record.reserved_at : ''
  return Date.parse(String(at)) || 0
}

async function pauseIfOld(parts: ContinuityParts, { beatenAt, ackedAt }: Behind, provenAt: number): Promise<boolean> {
  const now = await parts.ledger.now()
  const isOld = beatenAt === null ? provenAt > now - forgottenAfterMs : provenAt - beatenAt > oldSnapshotMs
  if (!isOld) return false
  const since = beatenAt === null ? 'before this instance was first seen' : toTimestamp(beatenAt)
  await parts.restoration.pause(
    `the ledger went back to a snapshot of ${since}; what the running instances had recorded since was written again. ` +
      'Gather the audit folders of all hosts and look at what hallpass recover says; hallpass recover --apply resumes',
  )
  // A restarted program could not know before its records were read.
  if (ackedAt === null) await noteDoubt(parts, 'behind')
  return true
}

/** Once per doubt: in the log for whoever is paged, in the audit for whoever asks later. */
async function noteDoubt({ continuity, log, audit }: ContinuityParts, outcome: Doubtful['outcome']): Promise<void> {
  const { doubt } = continuity
  log.error({ ledger: continuity.incarnation, outcome }, `nothing is issued: ${doubt}`)
  const record = { event: 'ledger.rolled_back', ledger: continuity.incarnation, outcome } as const
  // Whether it can be written or not, what was lost is to be replayed.
  await audit.append(record).catch((error: unknown) => log.error({ err: error }, 'the doubt could not be recorded'))
}
