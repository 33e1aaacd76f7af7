// Callers whom nobody vouches for, and accounts past their rate: their refusals are counted, not recorded one by one, so that
// nobody can fill the disk on which decisions and revocations are kept.
import { type Clock, toTimestamp } from '../core/clock.js'
import type { AuditSink } from './record.js'

export interface RefusalCounterOptions {
  audit: AuditSink
  clock: Clock
  /** Length of an interval. Default 60 s. */
  intervalSeconds?: number
}

// Reasons come from our own closed lists; the bound holds even where one day they do not. Accounts are as many as there are.
const maxNames = 64

function addTo(counts: Map<string, number>, name: string, count: number): void {
  const key = counts.has(name) || counts.size < maxNames ? name : 'other'
  counts.set(key, (counts.get(key) ?? 0) + count)
}

export class RefusalCounter {
  readonly #options: RefusalCounterOptions
  readonly #reasons = new Map<string, number>()
  readonly #accounts = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #since: number

  constructor(options: RefusalCounterOptions) {
    this.#options = options
    this.#since = options.clock.now()
    this.#timer = setInterval(() => void this.flush(), (options.intervalSeconds ?? 60) * 1000)
    this.#timer.unref()
  }

  /**
   * Counts one refusal. `reason` is a word of ours (`unknown_issuer`, `rate`), never the caller's; `account` a verified one. Never
   * waits.
   */
  note(reason: string, account?: string): void {
    addTo(this.#reasons, reason, 1)
    if (account !== undefined) addTo(this.#accounts, account, 1)
  }

  /** Appends what was counted since the last record; nothing where nobody was refused. Keeps the counts when that fails. */
  async flush(): Promise<void> {
    if (this.#reasons.size === 0) return
    const [reasons, accounts] = [[...this.#reasons], [...this.#accounts]]
    const [from, to] = [this.#since, this.#options.clock.now()]
    this.#reasons.clear()
    this.#accounts.clear()
    this.#since = to
    try {
      await this.#options.audit.append({
        event: 'callers.refused',
        from: toTimestamp(from),
        to: toTimestamp(to),
        refused: reasons.reduce((sum, [, count]) => sum + count, 0),
        reasons: Object.fromEntries(reasons),
        ...(accounts.length === 0 ? {} : { accounts: Object.fromEntries(accounts) }),
      })
    } catch {
      this.#since = from
      for (const [reason, count] of reasons) addTo(this.#reasons, reason, count)
      for (const [account, count] of accounts) addTo(this.#accounts, account, count)
    }
  }

  /** Appends what is left and stops. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }
}
