// A command that Redis takes up late (it hung, its answer was given up) must not begin anything: nobody would carry it on, and
// it would use up a key, an approval or a place all the same.

/** As long as an answer is waited for (connection.ts), and what reckoning by another clock may be off. */
const lateAfterMs = 3000
/** Two clocks drift apart: what was heard longer ago says nothing any more. */
const knownForMs = 60_000

export interface LedgerTime {
  /** Redis's time as it was answered just now, epoch milliseconds. */
  heard(now: number): void
  /** By Redis's clock: when what is sent now is not to be begun any more; undefined where its time was not heard lately. */
  notAfter(): number | undefined
}

/** `monotonic`: our own clock, milliseconds, by which the time since Redis's last answer is reckoned. */
export function createLedgerTime(monotonic: () => number): LedgerTime {
  let last: { readonly now: number; readonly at: number } | null = null
  return {
    heard(now) {
      last = { now, at: monotonic() }
    },
    notAfter() {
      if (last === null || monotonic() - last.at > knownForMs) return undefined
      return Math.ceil(last.now + (monotonic() - last.at) + lateAfterMs)
    },
  }
}
