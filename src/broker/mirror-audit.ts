// Copies what is on disk to where brokers read it. Best effort by design: nobody waits for it and nothing fails with it, since
// the files are the truth. What could not be copied is known, so that no timeline claims to be whole that is not.
import type { StoredRecord } from '../audit/read-records.js'
import { isClaimed } from '../audit/record.js'
import type { MirroredRecord, TimelineStore } from '../ledger/timeline.js'
import type { Logger } from '../telemetry/logger.js'
import { auditEntryText } from './audit-entry.js'
import { isOrder } from './order-matcher.js'

/** Under load a batch takes all that came while the one before was under way. */
const lingerMs = 20
const retryMs = 1000
const mostWaiting = 5000
const batchSize = 200
const mostGaps = 10_000

export interface AuditMirror {
  note(record: StoredRecord): void
  /** Tries once more, then stops. */
  close(): Promise<void>
}

/** Begins to copy with the first record that is noted. */
export function createAuditMirror(ledger: Pick<TimelineStore, 'noteRecords'>, log: Logger): AuditMirror {
  const waiting: MirroredRecord[] = []
  const gaps = new Set<string>()
  let timer: NodeJS.Timeout | null = null
  let running: Promise<void> | null = null
  let isClosed = false

  const schedule = (ms: number) => {
    if (timer !== null || running !== null || isClosed) return
    timer = setTimeout(() => {
      timer = null
      running = flush().finally(() => {
        running = null
        if (waiting.length > 0) schedule(lingerMs)
      })
    }, ms)
    timer.unref()
  }
  const letGo = (records: readonly MirroredRecord[]) => {
    for (const { task } of records) if (task !== null && gaps.size < mostGaps) gaps.add(task)
  }
  const flush = async () => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, batchSize)
      while (!(await copy(batch))) {
        if (isClosed) return
        await new Promise((resolve) => setTimeout(resolve, retryMs).unref())
      }
    }
  }
  const copy = async (batch: readonly MirroredRecord[]) => {
    const told = [...gaps].slice(0, batchSize)
    try {
      await ledger.noteRecords(batch, told)
      for (const task of told) gaps.delete(task)
      return true
    } catch (error) {
      log.debug({ err: error }, 'audit records could not be copied to the ledger')
      return false
    }
  }
  return {
    note(record) {
      const task = typeof record.task === 'string' ? record.task : null
      waiting.push({ task, kind: kindOf(record), text: auditEntryText(record) })
      if (waiting.length > mostWaiting) letGo(waiting.splice(0, batchSize))
      schedule(lingerMs)
    },
    async close() {
      isClosed = true
      if (timer !== null) clearTimeout(timer)
      await running
      await flush()
    },
  }
}

const kindOf = (record: StoredRecord) => (isClaimed(record) ? 'claimed' : isOrder(record) ? 'orders' : 'records')
