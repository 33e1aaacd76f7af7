// How far an issuer's clock is from ours, from what it tells by the way. Decides nothing: it explains refusals to operators.
import type { Clock } from '../core/clock.js'

/** Seconds that the issuer's clock is ahead of ours; negative: behind; null: not seen. */
export interface IssuerSkew {
  /** By the Date of its answers: the least difference that one answer allows for. */
  readonly byDate: number | null
  /** The most that an `iat` of a verified token was ahead of us lately: it is ahead by at least that when positive. */
  readonly byTokens: number | null
}

// A clock that was set right must stop being reported, so what tokens told is forgotten after one to two of these.
const windowMs = 1_800_000

export class ClockSkew {
  readonly #clock: Clock
  #byDate: number | null = null
  #running: { readonly since: number; most: number } | null = null
  #last: { readonly since: number; readonly most: number } | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Takes the Date of an answer to a request that was sent at `sentAt` (epoch milliseconds). A cache says with Age how many
   * seconds ago the issuer wrote that date (RFC 9111 section 5.1).
   */
  noteAnswer(date: string | undefined, age: string | undefined, sentAt: number): void {
    const written = date === undefined ? Number.NaN : Date.parse(date)
    if (Number.isNaN(written) || (age !== undefined && !/^\d{1,9}$/.test(age))) return
    const told = written + Number(age ?? 0) * 1000
    // It was written within its second, and while we waited: of all differences that fit, the one nearest to none counts.
    const least = told - this.#clock.now()
    const most = told + 1000 - sentAt
    this.#byDate = (least > 0 ? least : Math.min(most, 0)) / 1000
  }

  /** Takes the `iat` (epoch seconds) of a token that was verified: anybody can write one that was not. */
  noteIssuedAt(iat: number): void {
    const now = this.#clock.now()
    const ahead = iat - now / 1000
    if (this.#running === null || now - this.#running.since >= windowMs || now < this.#running.since) {
      this.#last = this.#running
      this.#running = { since: now, most: ahead }
    } else this.#running.most = Math.max(this.#running.most, ahead)
  }

  read(): IssuerSkew {
    const recent = [this.#running, this.#last].filter(
      (one) => one !== null && this.#clock.now() - one.since < 2 * windowMs,
    )
    const most = recent.map((one) => one?.most ?? 0)
    return { byDate: this.#byDate, byTokens: most.length === 0 ? null : Math.max(...most) }
  }
}
