// The audit's writer: one chain per running program. A record's place in the chain is given when it is appended, a flush
// carries all that were appended while the one before ran, and nobody is answered before the disk has it.
import { join, resolve } from 'node:path'
import { toTimestamp } from '../core/clock.js'
import type { BrokerError } from '../core/errors.js'
import type { AuditLogOptions } from './audit-log-options.js'
import { ChainFiles, createChainDirectory, maxBatchBytes } from './chain-files.js'
import { acquireChainLock, type ChainLock } from './chain-lock.js'
import { CheckpointWriter } from './checkpoints.js'
import { ClaimedBudget } from './claimed-budget.js'
import { type ChainHead, sealRecord } from './hash-chain.js'
import type { StoredRecord } from './read-records.js'
import { type AuditRecord, type AuditSink, isClaimed } from './record.js'
import type { Healed } from './segments.js'
import { auditUnavailable } from './unavailable.js'

interface Waiting {
  readonly record: StoredRecord
  readonly bytes: Buffer
  readonly head: ChainHead
  /** Idempotent: a record that timed out is settled already when the disk has it at last. */
  settle(error: BrokerError | null): void
}

const maxQueuedBytes = 32 << 20
const recoverEveryMs = 1000

/**
 * Opens (or begins) the chain `<directory>/<instance>-<program>/`, heals a torn end and takes its lock.
 * Throws ChainLockedError, BrokenChainError, or the file system's error.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const name = `${options.instance}-${options.program}`
  const directory = join(resolve(options.directory), name)
  await createChainDirectory(directory)
  const lock = await acquireChainLock(directory)
  try {
    const log = new AuditLog(options, name, directory, lock)
    await log.open()
    return log
  } catch (error) {
    await lock.release()
    throw error
  }
}

export class AuditLog implements AuditSink {
  readonly directory: string
  /** `<instance>-<program>`, as in every record. */
  readonly instance: string
  readonly #options: AuditLogOptions
  readonly #lock: ChainLock
  readonly #claims: ClaimedBudget
  readonly #waitMs: number
  /** Told of each record once it is on disk, in order. It must neither throw nor take long. */
  onFlushed: (record: StoredRecord) => void = () => {}
  #files: ChainFiles | null = null
  #checkpoints: CheckpointWriter | null = null
  #head: ChainHead = { sequence: 0, hash: '' }
  #flushed = 0
  #queue: Waiting[] = []
  #queuedBytes = 0
  #flushing: Promise<void> | null = null
  #flushStartedAt: number | null = null
  #failure: string | null = null
  #recovery: NodeJS.Timeout | null = null
  #recovering: Promise<void> | null = null
  #closed = false

  /** Use `openAuditLog`. */
  constructor(options: AuditLogOptions, instance: string, directory: string, lock: ChainLock) {
    this.#options = options
    this.#waitMs = options.waitMs ?? 2000
    this.instance = instance
    this.directory = directory
    this.#lock = lock
    this.#claims = new ClaimedBudget({ ...options, directory })
  }

  /** The highest sequence that is surely on disk. */
  get sequence(): number {
    return this.#flushed
  }

  /** Whether records are taken now, and else why not; for readiness. */
  status(): { healthy: boolean; failure: string | null; checkpointError: string | null; flushes: number } {
    const failure = this.#failure ?? (this.#isStalled() ? 'the disk does not answer' : null)
    return {
      healthy: failure === null && !this.#closed,
      failure,
      checkpointError: this.#checkpoints?.lastError ?? null,
      flushes: this.#files?.flushes ?? 0,
    }
  }

  /**
   * Resolves with the record's sequence once it is on disk. Throws BrokerError `audit_unavailable` when it is not within the
   * bounded wait; it may then still get there later, which is why its place in the chain is never given to another.
   */
  async append(record: AuditRecord): Promise<number> {
    return isClaimed(record) ? this.#claims.write(record, () => this.#append(record)) : this.#append(record)
  }

  async #append(record: AuditRecord): Promise<number> {
    if (!this.status().healthy || this.#queuedBytes > maxQueuedBytes) throw auditUnavailable()
    const time = toTimestamp(this.#options.clock.now())
    const { bytes, head } = sealRecord(record, this.#head, this.instance, time)
    this.#head = head
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(auditUnavailable()), this.#waitMs)
      const settle = (error: BrokerError | null) => {
        clearTimeout(timer)
        if (error) reject(error)
        else resolve()
      }
      const stored = { ...record, seq: head.sequence, instance: this.instance, time }
      this.#queue.push({ record: stored, bytes, head, settle })
      this.#queuedBytes += bytes.length
      this.#scheduleFlush()
    })
    return head.sequence
  }

  /** Opens or re-opens the files and, where something was cut, says so in the chain itself. */
  async open(): Promise<void> {
    const { segmentBytes = 64 << 20, clock, signCheckpoint } = this.#options
    const { files, head, healed, signedSequence } = await ChainFiles.open(this.directory, segmentBytes)
    try {
      this.#head = await this.#writeHealed(files, head, healed)
    } catch (error) {
      await files.close()
      throw error
    }
    this.#files = files
    this.#flushed = this.#head.sequence
    const write = (line: Buffer) =>
      this.#files?.appendCheckpoint(line) ?? Promise.reject(new Error('the chain is closed'))
    const parts = { instance: this.instance, clock, sign: signCheckpoint, write }
    this.#checkpoints ??= new CheckpointWriter(parts, signedSequence)
    this.#checkpoints.noteFlushed(this.#head)
  }

  /** After a failure there is always a record: it is also the proof that the disk takes records again. */
  async #writeHealed(files: ChainFiles, head: ChainHead, healed: readonly Healed[]): Promise<ChainHead> {
    if (healed.length === 0 && this.#failure === null) return head
    const cut = healed.map((torn) => ({ ...torn }))
    const record: AuditRecord = { event: 'audit.healed', failure: this.#failure, cut }
    const sealed = sealRecord(record, head, this.instance, toTimestamp(this.#options.clock.now()))
    await files.append(sealed.bytes, sealed.head.sequence)
    return sealed.head
  }

  #isStalled(): boolean {
    return this.#flushStartedAt !== null && this.#options.clock.monotonic() - this.#flushStartedAt > this.#waitMs
  }

  /** At the end of this turn of the event loop, so that all who append in it share the flush. */
  #scheduleFlush(): void {
    if (this.#flushing) return
    this.#flushing = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#flushAll())
      .finally(() => {
        this.#flushing = null
        this.#flushStartedAt = null
        // Whoever was answered by the last flush may have appended again before this ran.
        if (this.#queue.length > 0) this.#scheduleFlush()
      })
  }

  async #flushAll(): Promise<void> {
    while (this.#queue.length > 0 && this.#files) {
      const batch = this.#takeBatch()
      const [first, last] = [batch[0], batch.at(-1)]
      if (!first || !last) return
      this.#flushStartedAt = this.#options.clock.monotonic()
      try {
        await this.#files.append(Buffer.concat(batch.map((waiting) => waiting.bytes)), first.head.sequence)
      } catch (error) {
        this.#fail(error, batch)
        return
      }
      this.#flushed = last.head.sequence
      for (const waiting of batch) {
        waiting.settle(null)
        this.onFlushed(waiting.record)
      }
      this.#checkpoints?.noteFlushed(last.head)
    }
  }

  #takeBatch(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const waiting of this.#queue) {
      if (count > 0 && bytes + waiting.bytes.length > maxBatchBytes) break
      bytes += waiting.bytes.length
      count++
    }
    this.#queuedBytes -= bytes
    return this.#queue.splice(0, count)
  }

  /**
   * Takes nothing more until the files could be opened and written anew. After a failed flush nobody knows what the disk
   * has, so the chain is read back: whole lines that got there stay, though their callers were told otherwise.
   */
  #fail(error: unknown, batch: readonly Waiting[]): void {
    this.#failure = error instanceof Error ? error.message : String(error)
    for (const waiting of [...batch, ...this.#queue]) waiting.settle(auditUnavailable(error))
    this.#queue = []
    this.#queuedBytes = 0
    this.#recovery = setInterval(() => void this.#recover(), recoverEveryMs)
    this.#recovery.unref()
  }

  async #recover(): Promise<void> {
    if (this.#recovering) return
    this.#recovering = this.#reopen().finally(() => {
      this.#recovering = null
    })
    await this.#recovering
  }

  async #reopen(): Promise<void> {
    await this.#files?.close()
    this.#files = null
    try {
      await this.open()
      this.#failure = null
      if (this.#recovery) clearInterval(this.#recovery)
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error)
    }
  }

  /** Writes what is waiting, signs for it, and lets the chain go. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#recovery) clearInterval(this.#recovery)
    await this.#recovering
    while (this.#flushing) await this.#flushing
    await this.#checkpoints?.close()
    await this.#files?.close()
    await this.#lock.release()
  }
}
