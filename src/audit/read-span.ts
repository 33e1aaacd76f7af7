// The records of a span of time that hold a given text: whole segments outside of it are not read, other lines not parsed.
import { readLines } from './read-lines.js'
import { parseRecord, readRecords, type StoredRecord } from './read-records.js'
import { listSegments, type Segment } from './segments.js'

export interface RecordSpan {
  /** Epoch milliseconds, both inclusive; absent: without that end. */
  readonly from?: number | undefined
  readonly to?: number | undefined
}

// A clock may have been set back between two records; a segment is only passed over when it is out of doubt.
const clockDoubtMs = 3_600_000

/**
 * One chain's records with a sequence above `after` within the span that hold `needle` as bytes, in order. Throws the file
 * system's error.
 */
export async function* readSpan(
  folder: string,
  { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY }: RecordSpan,
  needle: string,
  after = 0,
): AsyncGenerator<StoredRecord> {
  const segments = await listSegments(folder)
  for (const [i, segment] of segments.entries()) {
    const next = segments[i + 1]
    if (next && next.firstSequence <= after + 1) continue
    if (next && (await firstTime(folder, next)) < from - clockDoubtMs) continue
    if ((await firstTime(folder, segment)) > to + clockDoubtMs) continue
    for await (const line of readLines(segment.path)) {
      if (!line.terminated || line.tooLong || !line.bytes.includes(needle)) continue
      const record = parseRecord(line.bytes)
      if (record === null || record.seq <= after) continue
      const at = Date.parse(record.time)
      if (at >= from && at <= to) yield record
    }
  }
}

/** NaN, which is neither before nor after anything, for a segment without a record. */
async function firstTime(folder: string, { firstSequence }: Segment): Promise<number> {
  for await (const record of readRecords(folder, firstSequence - 1)) return Date.parse(record.time)
  return Number.NaN
}
