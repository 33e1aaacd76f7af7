// Callers whom nobody vouches for: their refusals are counted, not recorded one by one, so that no stranger can fill the
// disk on which decisions and revocations are kept.
import { type Clock, toTimestamp } from '../core/clock.js'
import type { AuditSink } from './record.js'

export interface RefusalCounterOptions {
  audit: AuditSink
  clock: Clock
  /** Length of an interval. Default 60 s. */
  intervalSeconds?: number
}

// Reasons come from our own closed lists; the bound holds even where one day they do not.
const maxReasons = 64

export class RefusalCounter {
  readonly #options: RefusalCounterOptions
  readonly #counts = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #since: number

  constructor(options: RefusalCounterOptions) {
    this.#options = options
    this.#since = options.clock.now()
    this.#timer = setInterval(() => void this.flush(), (options.intervalSeconds ?? 60) * 1000)
    this.#timer.unref()
  }

  /** Counts one refusal. `reason` is a word of ours (`unknown_issuer`, `expired`), never the caller's. Never waits. */
  note(reason: string): void {
    const key = this.#counts.has(reason) || this.#counts.size < maxReasons ? reason : 'other'
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** Appends what was counted since the last record; nothing where nobody was refused. Keeps the counts when that fails. */
  async flush(): Promise<void> {
    if (this.#counts.size === 0) return
    const counted = [...this.#counts]
    const [from, to] = [this.#since, this.#options.clock.now()]
    this.#counts.clear()
    this.#since = to
    try {
      await this.#options.audit.append({
        event: 'callers.refused',
        from: toTimestamp(from),
        to: toTimestamp(to),
        refused: counted.reduce((sum, [, count]) => sum + count, 0),
        reasons: Object.fromEntries(counted),
      })
    } catch {
      this.#since = from
      for (const [reason, count] of counted) this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count)
    }
  }

  /** Appends what is left and stops. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }
}
