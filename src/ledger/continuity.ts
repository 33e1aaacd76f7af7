// Whether the ledger is still the one this instance wrote to. Redis may lose its last second, go back to a snapshot, or come
// back empty: each beat and each reservation carries what Redis acknowledged before, and nothing is issued while it knows less.
import { randomUUID } from 'node:crypto'
import type { Connection } from './connection.js'
import { ledgerTag } from './keys.js'
import { createScripts, type RunScript } from './scripts.js'
import { SeenServer, type ServerFacts } from './seen-server.js'
import { orUnavailable, rolledBack } from './unavailable.js'

/** After Redis came back, an instance seen this long ago must have beaten again before anything is issued. */
const seenWithinMs = 10_000

export interface ContinuityOptions {
  readonly redis: Connection
  readonly prefix: string
  /** The audit chain's name: no two programs share one. */
  readonly instance: string
  /** The incarnation that this instance wrote for before; null when it never did. */
  readonly known: string | null
  /** The audit's highest flushed sequence. */
  readonly sequence: () => number
  readonly monotonic: () => number
}

export type BeatAnswer =
  | { readonly outcome: 'ok' }
  /** Records above `wal` may be missing in the ledger. */
  | {
      readonly outcome: 'behind'
      readonly wal: number
      /** Redis lacks what it acknowledged; else only our last records are not known to be in it. */
      readonly wentBack: boolean
      /** Redis's time of our last beat that it knows; null when it knows none. */
      readonly beatenAt: number | null
      /** Redis's time of our last beat that it acknowledged; null when this program had none. */
      readonly ackedAt: number | null
    }
  /** No ledger of ours is there, or another one; `successor`: it was rebuilt from records up to `wal` of ours. */
  | { readonly outcome: 'lost'; readonly successor: string | null; readonly wal: number }

const recoverFirst = 'run hallpass recover'

export class Continuity {
  readonly instance: string
  readonly server = new SeenServer()
  readonly #options: ContinuityOptions
  readonly #run: RunScript
  #incarnation: string
  #turn = 0
  #acked = 0
  /** Redis's time of the last beat that it acknowledged. */
  #ackedAt: number | null = null
  /**
   * What Redis must have of the audit: at start, where no turn was acknowledged yet, and after it was away, since between two
   * beats only records tell what was written (a lock, an end). 0 otherwise.
   */
  #floor: number
  #doubt: string | null = 'the ledger was not asked yet'
  #doubtedAt = Number.NEGATIVE_INFINITY
  /** Redis's time of the first beat after the doubt. */
  #since: number | null = null
  /** Others → our monotonic time when they were last seen to have beaten. */
  readonly #seen = new Map<string, number>()
  #onDoubt: () => void = () => undefined

  constructor(options: ContinuityOptions, incarnation: string) {
    this.#options = options
    this.instance = options.instance
    this.#incarnation = incarnation
    // What was recorded before any ledger was written to is not missing in this one.
    this.#floor = options.known === null ? 0 : options.sequence()
    this.#run = createScripts(options.redis, ledgerTag(options.prefix))
    // A cluster stays ready when one of its nodes is replaced.
    for (const event of ['ready', '+node', '-node']) {
      options.redis.on(event as 'ready', () => {
        this.suspectLoss('Redis was away')
      })
    }
  }

  get incarnation(): string {
    return this.#incarnation
  }

  /** Why nothing may be issued now, and what to do; null when the ledger is sure. */
  get doubt(): string | null {
    return this.#doubt
  }

  /** Why Redis should take nothing new, though it still could; null while it may. */
  get full(): string | null {
    return this.server.full
  }

  /** `listener` is called whenever a doubt begins: a beat soon settles it. */
  onDoubt(listener: () => void): void {
    this.#onDoubt = listener
  }

  /** Nothing is issued from now on, until a beat finds the ledger whole. */
  suspect(reason: string): void {
    this.#doubt = reason
    this.#doubtedAt = this.#options.monotonic()
    this.#since = null
    this.#onDoubt()
  }

  /** It may lack what anybody wrote, and between two beats only records tell what that was. */
  suspectLoss(reason: string): void {
    this.#floor = this.#options.sequence()
    this.suspect(`${reason}; every instance is asked what it lost`)
  }

  /** What a reservation carries. Its turn is to be acknowledged when Redis took it. */
  nextTurn(): { instance: string; incarnation: string; acked: number; turn: number; sequence: number } {
    const { instance } = this
    return {
      instance,
      incarnation: this.#incarnation,
      acked: this.#acked,
      turn: ++this.#turn,
      sequence: this.#options.sequence(),
    }
  }

  acknowledge(turn: number): void {
    this.#acked = Math.max(this.#acked, turn)
  }

  /** From here on the rebuilt ledger is the one we write to; what it lacked of our records was replayed. */
  adopt(incarnation: string): void {
    this.#incarnation = incarnation
  }

  /** `replayed`: what Redis lacked was written again, so that it is believed from here on. Throws `ledger_unavailable`. */
  async beat(replayed = false): Promise<BeatAnswer> {
    const { instance, incarnation, acked, turn, sequence } = this.nextTurn()
    const args = [instance, incarnation, acked, turn, sequence, this.#floor, replayed ? 1 : 0, this.server.id]
    const beaten = this.#run('beat-instance', ...args)
    beaten.catch((error: unknown) => this.server.noteRefusal(error))
    const [outcome, first, second, third, reached, facts] = (await orUnavailable(beaten)) as [
      string,
      string | number,
      string | number | string[],
      string | number,
      number,
      ServerFacts,
    ]
    if (outcome === 'moved') {
      this.server.moveTo(String(first))
      this.suspectLoss('another Redis took over')
      // What was replayed was written to the one before.
      return await this.beat()
    }
    if (outcome === 'lost') {
      this.#loseFaith(`the ledger is not the one that ${instance} wrote to; ${recoverFirst}`)
      const successor = first !== '' && first === second ? String(first) : null
      return { outcome, successor, wal: Number(third) }
    }
    if (outcome === 'behind') {
      const wentBack = second === 1
      this.#loseFaith(
        wentBack
          ? 'the ledger was rolled back; what it lost is being replayed'
          : 'it is being made sure that the ledger has all of our records',
      )
      const beatenAt = third === '' ? null : Number(third)
      return { outcome, wal: Number(first), wentBack, beatenAt, ackedAt: this.#ackedAt }
    }
    // A program that was restarted goes on counting where it had been, else Redis going back would look like nothing.
    this.#turn = Math.max(this.#turn, Number(reached))
    this.acknowledge(Number(reached))
    this.#floor = 0
    this.server.note(facts)
    this.#ackedAt = Number(first)
    this.#settle(Number(first), second as string[])
    // An operator resumes it: what was rolled back that far may lack what nobody is left to replay.
    if (third !== '') this.#loseFaith(String(third))
    return { outcome: 'ok' }
  }

  /** Asks Redis once more. Throws `rolled_back` where it is not sure, `ledger_unavailable`. */
  async checkSure(): Promise<void> {
    if (this.#doubt === null) await this.beat()
    if (this.#doubt === null) return
    throw rolledBack(5)
  }

  #loseFaith(reason: string): void {
    if (this.#doubt === null) this.#doubtedAt = this.#options.monotonic()
    this.#doubt = reason
    this.#since = null
  }

  /** Takes a good beat: the doubt ends once everybody who was there lately has beaten since. */
  #settle(now: number, list: readonly string[]): void {
    this.#since ??= now
    const mono = this.#options.monotonic()
    const beaten = new Map<string, number>()
    for (let i = 0; i + 1 < list.length; i += 2) beaten.set(String(list[i]), Number(list[i + 1]))
    const silent = [...this.#seen].filter(
      ([name, seenAt]) => seenAt > this.#doubtedAt - seenWithinMs && (beaten.get(name) ?? 0) < (this.#since ?? 0),
    )
    for (const [name, at] of beaten) if (name !== this.instance) this.#seen.set(name, mono - (now - at))
    for (const [name, at] of this.#seen) if (at < mono - 2 * seenWithinMs) this.#seen.delete(name)
    if (this.#doubt === null) return
    if (silent.length === 0 || mono - this.#doubtedAt > seenWithinMs) this.#doubt = null
    else this.#doubt = `Redis was away; waiting to hear from ${silent.map(([name]) => name).join(', ')}`
  }

  /** Ends quietly: nobody needs to wait for this instance any more. */
  async leave(): Promise<void> {
    const { redis, prefix } = this.#options
    if (this.#doubt === null) await this.beat()
    await orUnavailable(redis.zrem(`${ledgerTag(prefix)}instances`, this.instance))
  }
}

/**
 * Takes the ledger that this instance wrote to before. Only one that never wrote anything names a new ledger, or joins the one
 * that is there. Redis must be reachable. Throws `ledger_unavailable`.
 */
export async function openContinuity(options: ContinuityOptions): Promise<Continuity> {
  return new Continuity(options, options.known ?? (await nameLedger(options.redis, options.prefix)))
}

/** Null where no ledger is, or one that lost its memory. Throws `ledger_unavailable`. */
export const findIncarnation = (redis: Connection, prefix: string): Promise<string | null> =>
  orUnavailable(redis.get(`${ledgerTag(prefix)}incarnation`))

/** Whoever comes first names the ledger. Returns its incarnation. */
export async function nameLedger(redis: Connection, prefix: string): Promise<string> {
  const key = `${ledgerTag(prefix)}incarnation`
  await orUnavailable(redis.set(key, randomUUID(), 'NX'))
  return (await orUnavailable(redis.get(key))) ?? ''
}
