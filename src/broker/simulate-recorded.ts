// Decisions of this broker's audit folder against a candidate, in slices: exchanges go on between them, and one call reads
// only so much.
import { setImmediate } from 'node:timers/promises'
import type { RecordedSimulation, RecordedSpan } from '../api/simulate.js'
import { listChains } from '../audit/read-records.js'
import { readSpan } from '../audit/read-span.js'
import { invalidField } from '../core/errors.js'
import type { PolicyEngine } from '../policy/engine.js'
import { ChangeTally } from './change-tally.js'
import { verdictView } from './compare-verdicts.js'
import { decideAgain } from './decide-again.js'
import type { Parts } from './parts.js'
import { decisionNeedle, readDecision } from './recorded-decision.js'

/** One call: so many decisions or so long, whichever is first; the answer says where the next begins. */
const maxDecisions = 10_000
const maxMs = 3_000
const sliceMs = 5
const maxGroups = 200

interface Position {
  readonly chain: string
  /** The last record that was read. */
  readonly seq: number
}

/** As many decisions as one call may take; `next_cursor` says where the next call goes on. Throws `invalid_request` for a cursor. */
export async function simulateRecorded(
  parts: Pick<Parts, 'auditDirectory' | 'clock'>,
  candidate: PolicyEngine,
  span: RecordedSpan,
): Promise<RecordedSimulation> {
  const tally = new ChangeTally(maxGroups)
  const { clock } = parts
  const start = span.cursor === undefined ? null : parseCursor(span.cursor)
  const between = { from: timeOf(span.from), to: timeOf(span.to) }
  const startedAt = clock.monotonic()
  let sliceAt = startedAt
  let skipped = 0
  let stoppedAt: Position | null = null
  const chains = [...(await listChains(parts.auditDirectory))].sort(([a], [b]) => (a < b ? -1 : 1))
  reading: for (const [chain, folder] of chains) {
    if (start !== null && chain < start.chain) continue
    const after = chain === start?.chain ? start.seq : 0
    for await (const record of readSpan(folder, between, decisionNeedle, after)) {
      const now = clock.monotonic()
      if (now - sliceAt > sliceMs) {
        await setImmediate()
        sliceAt = clock.monotonic()
      }
      const decision = span.task === undefined || record.task === span.task ? readDecision(record) : 'none'
      if (decision === 'unreadable' || (decision !== 'none' && decision.basis === null)) skipped++
      else if (decision !== 'none' && decision.basis !== null) {
        tally.add(decision, verdictView(decision.verdict), verdictView(decideAgain(candidate, decision.basis)))
      }
      if (tally.decisions >= maxDecisions || now - startedAt > maxMs) {
        stoppedAt = { chain, seq: record.seq }
        break reading
      }
    }
  }
  return answerOf(candidate, tally, skipped, stoppedAt)
}

function answerOf(
  candidate: PolicyEngine,
  tally: ChangeTally,
  skipped: number,
  stoppedAt: Position | null,
): RecordedSimulation {
  return {
    candidate: candidate.hash,
    skipped,
    ...tally.sums(),
    next_cursor: stoppedAt === null ? null : Buffer.from(JSON.stringify(stoppedAt)).toString('base64url'),
  }
}

function timeOf(timestamp: string | undefined): number | undefined {
  return timestamp === undefined ? undefined : Date.parse(timestamp)
}

function parseCursor(cursor: string): Position {
  try {
    const { chain, seq } = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as Partial<Position>
    if (typeof chain === 'string' && Number.isSafeInteger(seq)) return { chain, seq: Number(seq) }
  } catch {
    // Said below, as for any other text that is no cursor.
  }
  throw invalidField('recorded.cursor', 'expected a cursor from an earlier answer')
}
