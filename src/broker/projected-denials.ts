// Denials as the audit tells of them, by account and minute: what rules over recent denials need to go on. A session has no more of
// them than its account, and the more counts; so the account's are enough.
import type { StoredRecord } from '../audit/read-records.js'

export class DenialProjection {
  /** Account → minute → requests. One that asked for several credentials was denied once, however many records tell of it. */
  readonly #requests = new Map<string, Map<number, Set<string>>>()

  /** A `decision.denied`. A plan was never counted against whoever made it. */
  apply({ account, request_id: request, time, dry_run: isPlan }: StoredRecord): void {
    if (typeof account !== 'string' || isPlan === true) return
    const minute = Math.floor(Date.parse(time) / 60_000)
    const minutes = this.#requests.get(account) ?? new Map<number, Set<string>>()
    const requests = minutes.get(minute) ?? new Set<string>()
    requests.add(String(request))
    minutes.set(minute, requests)
    this.#requests.set(account, minutes)
  }

  /** Those after `since` (epoch milliseconds): how many in which minute. */
  *byAccount(since: number): Generator<{ account: string; minutes: [minute: number, count: number][] }> {
    for (const [account, requests] of this.#requests) {
      const minutes = [...requests].flatMap(([minute, one]): [number, number][] =>
        (minute + 1) * 60_000 > since ? [[minute, one.size]] : [],
      )
      if (minutes.length > 0) yield { account, minutes }
    }
  }
}
