// Signed statements that the chain reached a record: every ten seconds or thousand records. They make a chain that was
// rewritten with all its hashes show, as long as the audit key was not had as well.
import { canonicalJson } from '../core/canonical-json.js'
import { type Clock, toTimestamp } from '../core/clock.js'
import { type ChainHead, genesis } from './hash-chain.js'

/** What a checkpoint says; the signer adds who we are. */
export interface CheckpointClaims {
  readonly seq: number
  readonly hash: string
  readonly instance: string
  readonly time: string
}

/** Signs with the audit key; the answer is a compact JWS. */
export type SignCheckpoint = (claims: CheckpointClaims) => Promise<string>

const everyMs = 10_000
const everyRecords = 1000

export interface CheckpointWriterParts {
  instance: string
  clock: Clock
  sign: SignCheckpoint
  /** Appends one line and flushes it. */
  write(line: Buffer): Promise<void>
}

export class CheckpointWriter {
  readonly #parts: CheckpointWriterParts
  readonly #timer: NodeJS.Timeout
  #flushed = genesis
  #signedSequence: number
  #running: Promise<void> | null = null
  /** Why the last one could not be made, or null. The records themselves do not depend on it. */
  lastError: string | null = null

  /** `signedSequence`: how far the last checkpoint on disk goes. A crash leaves records behind it, signed for soon. */
  constructor(parts: CheckpointWriterParts, signedSequence: number) {
    this.#parts = parts
    this.#signedSequence = signedSequence
    this.#timer = setInterval(() => void this.sign(), everyMs)
    this.#timer.unref()
  }

  /** `head` is on disk. Never waits. */
  noteFlushed(head: ChainHead): void {
    this.#flushed = head
    if (head.sequence - this.#signedSequence >= everyRecords) void this.sign()
  }

  /** Signs for what is flushed by now, if anything is new. Never throws: a failure is kept in `lastError` and tried again. */
  async sign(): Promise<void> {
    if (this.#running) return this.#running
    if (this.#flushed.sequence <= this.#signedSequence) return
    this.#running = this.#signOnce(this.#flushed).finally(() => {
      this.#running = null
      // Under load more than a thousand may have come while this one was signed.
      if (this.lastError === null) this.noteFlushed(this.#flushed)
    })
    return this.#running
  }

  async #signOnce(head: ChainHead): Promise<void> {
    const { instance, clock, sign, write } = this.#parts
    try {
      const jwt = await sign({ seq: head.sequence, hash: head.hash, instance, time: toTimestamp(clock.now()) })
      await write(Buffer.from(`${canonicalJson({ jwt })}\n`))
      this.#signedSequence = head.sequence
      this.lastError = null
    } catch (error) {
      this.lastError = error instanceof Error ? error.message : String(error)
    }
  }

  /** Signs for the last record and stops. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
    await this.sign()
  }
}
