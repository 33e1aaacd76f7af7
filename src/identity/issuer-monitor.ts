// What can be seen of an issuer from outside: fetches, refusals by reason, skew. Watches; it changes no answer.
import type { Clock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { ClockSkew, type IssuerSkew } from './clock-skew.js'
import type { Issuer } from './issuer.js'
import { type FetchOutcome, type NoteAnswer, outcomeOf } from './remote-document.js'
import { type CheckName, TokenRefusal } from './token-refusal.js'

/** Why a token was refused: the check, `other` for one without a name, `unavailable` where its keys could not be had (503). */
export type RefusalReason = CheckName | 'other' | 'unavailable'

/** Told what happens; `issuer` is a configured name, or `none` where no issuer was chosen. */
export interface IssuerEvents {
  refused(issuer: string, reason: RefusalReason): void
  fetched(issuer: string, outcome: FetchOutcome): void
}

export const unwatched: IssuerEvents = { refused: () => undefined, fetched: () => undefined }

/** Null for what is no refusal at all. */
export function reasonOf(error: unknown): RefusalReason | null {
  if (error instanceof TokenRefusal) return error.check ?? 'other'
  if (!(error instanceof BrokerError)) return null
  return error.code === 'issuer_unavailable' ? 'unavailable' : 'other'
}

export class IssuerMonitor {
  readonly #name: string
  readonly #clock: Clock
  readonly #events: IssuerEvents
  readonly #skew: ClockSkew

  constructor(name: string, clock: Clock, events: IssuerEvents) {
    this.#name = name
    this.#clock = clock
    this.#events = events
    this.#skew = new ClockSkew(clock)
  }

  /** Runs one fetch of the issuer's documents, and notes how it went. */
  async watchFetch<T>(fetchDocument: (note: NoteAnswer) => Promise<T>): Promise<T> {
    const sentAt = this.#clock.now()
    try {
      const document = await fetchDocument(({ date, age }) => this.#skew.noteAnswer(date, age, sentAt))
      this.#events.fetched(this.#name, 'ok')
      return document
    } catch (error) {
      this.#events.fetched(this.#name, outcomeOf(error))
      throw error
    }
  }

  /** The issuer, with what becomes of its tokens noted. */
  watch<One extends Issuer>(issuer: One): One {
    const noted = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work
      } catch (error) {
        const reason = reasonOf(error)
        if (reason !== null) this.#events.refused(this.#name, reason)
        throw error
      }
    }
    return {
      ...issuer,
      authenticate: async (...asked: Parameters<Issuer['authenticate']>) => {
        const verified = await noted(issuer.authenticate(...asked))
        const { iat } = asked[0].payload
        if (iat !== undefined) this.#skew.noteIssuedAt(iat)
        return verified
      },
      stands: (...asked: Parameters<Issuer['stands']>) => noted(issuer.stands(...asked)),
      skew: (): IssuerSkew => this.#skew.read(),
    }
  }
}
