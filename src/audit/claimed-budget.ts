// Room for what callers merely claim. They may write as much as their limits let them, so they have a small share of the queue
// and only that part of the disk which decisions and revocations will not need.
import { statfs } from 'node:fs/promises'
import type { Clock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import type { AuditRecord } from './record.js'

/** Of the 32 MiB that may wait for the disk: at most one flush more for whoever comes behind them. */
const queueShare = 1 << 20
const freshMs = 1000
const mostReserved = 1 << 30

export interface ClaimedBudgetOptions {
  directory: string
  clock: Pick<Clock, 'monotonic'>
  /** Free bytes below which no claim is written. Default: a tenth of the file system, at most 1 GiB. */
  reserveBytes?: number | undefined
}

export class ClaimedBudget {
  readonly #options: ClaimedBudgetOptions
  #waitingBytes = 0
  #seen: { readonly at: number; readonly isLow: boolean } | null = null

  constructor(options: ClaimedBudgetOptions) {
    this.#options = options
  }

  /** Writes the record when there is room for claims. Throws `audit_unavailable` (503) when there is none; others go on. */
  async write(record: AuditRecord, append: () => Promise<number>): Promise<number> {
    if (await this.#isLow()) throw noRoom('the disk is kept for decisions and revocations', 60)
    const bytes = JSON.stringify(record).length
    if (this.#waitingBytes + bytes > queueShare) throw noRoom('too many wait for the disk', 1)
    this.#waitingBytes += bytes
    try {
      return await append()
    } finally {
      this.#waitingBytes -= bytes
    }
  }

  async #isLow(): Promise<boolean> {
    const now = this.#options.clock.monotonic()
    if (this.#seen !== null && now - this.#seen.at < freshMs) return this.#seen.isLow
    const isLow = await this.#lookAtDisk()
    this.#seen = { at: now, isLow }
    return isLow
  }

  async #lookAtDisk(): Promise<boolean> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#options.directory)
      const reserve = this.#options.reserveBytes ?? Math.min(mostReserved, (blocks * bsize) / 10)
      return bavail * bsize < reserve
    } catch {
      // A disk that cannot be asked is in doubt; what is only claimed can wait.
      return true
    }
  }
}

const noRoom = (why: string, retryAfterSeconds: number) =>
  new BrokerError('audit_unavailable', `events are not taken now: ${why}`, { retryAfterSeconds })
