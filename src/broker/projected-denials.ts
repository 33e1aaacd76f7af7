// Denials as the audit tells of them, by account and minute: what rules over recent denials need to go on. A session has no more of
// them than its account, and the more counts; so the account's are enough.
import type { StoredRecord } from '../audit/read-records.js'

export class DenialProjection {
  /**
   * Account → request → the minute of its first record. One that asked for several credentials was denied once, however many
   * records tell of it, and wherever the minute turned between them.
   */
  readonly #requests = new Map<string, Map<string, number>>()

  /** A `decision.denied`. A plan was never counted against whoever made it. */
  apply({ account, request_id: request, time, dry_run: isPlan }: StoredRecord): void {
    if (typeof account !== 'string' || isPlan === true) return
    const requests = this.#requests.get(account) ?? new Map<string, number>()
    if (!requests.has(String(request))) requests.set(String(request), Math.floor(Date.parse(time) / 60_000))
    this.#requests.set(account, requests)
  }

  /** Those after `since` (epoch milliseconds): how many in which minute. */
  *byAccount(since: number): Generator<{ account: string; minutes: [minute: number, count: number][] }> {
    for (const [account, requests] of this.#requests) {
      const counts = new Map<number, number>()
      for (const minute of requests.values()) {
        if ((minute + 1) * 60_000 > since) counts.set(minute, (counts.get(minute) ?? 0) + 1)
      }
      if (counts.size > 0) yield { account, minutes: [...counts] }
    }
  }
}
