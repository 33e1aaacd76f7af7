// Follows the records of one chain and says where they cease to follow one another. It goes on after a break, so that one
// changed record gives one finding and not as many as there are records behind it.
import { type ChainHead, genesis, hashLine, parseLine } from './hash-chain.js'
import type { FileLine } from './read-lines.js'

export interface Problem {
  /** Relative to the directory that was verified. */
  readonly file: string
  readonly line: number
  /** The record's sequence, or the one that was expected there. */
  readonly sequence: number
  readonly message: string
}

export interface Place {
  readonly file: string
  readonly line: number
}

interface Stray {
  readonly place: Place
  /** Null where the line is no record at all. */
  readonly head: ChainHead | null
}

export class RecordSequence {
  readonly #report: (problem: Problem) => void
  readonly #accept: (head: ChainHead, place: Place) => void
  /** The last record that stood where it should, and where. */
  head: ChainHead = genesis
  place: Place | null = null
  instance: string | null = null
  #headIsSuspect = false
  /** Lines since `head` that do not follow it: inserted, changed, or the far side of a gap; the next lines tell. */
  #strays: Stray[] = []

  /** `accept` is told of every record that stands in its place, in order. */
  constructor(report: (problem: Problem) => void, accept: (head: ChainHead, place: Place) => void) {
    this.#report = report
    this.#accept = accept
  }

  /** The sequence that has to come next. */
  get expected(): number {
    return this.head.sequence + 1
  }

  /** Takes the next line of `file`. */
  take(line: FileLine, file: string): void {
    const place = { file, line: line.number }
    const link = line.tooLong ? 'is longer than any record' : parseLine(line.bytes)
    if (typeof link === 'string') {
      this.#report({ ...place, sequence: this.expected + this.#strays.length, message: `this line ${link}` })
      this.#noteStray({ place, head: null })
      return
    }
    const head = { sequence: link.sequence, hash: hashLine(line.bytes) }
    if (!this.#follows(head.sequence)) {
      this.#report({ ...place, sequence: this.expected, message: explainGap(this.expected, head.sequence) })
      this.#noteStray({ place, head })
      return
    }
    this.#checkLink(link.prev, place)
    this.#checkInstance(link.instance, place, head.sequence)
    this.#moveTo(head, place)
    this.#strays = []
  }

  /** After the last line: a chain whose last record alone stands behind a gap still ends with that record. */
  finish(): void {
    const last = this.#strays.at(-1)
    if (last?.head && last.head.sequence > this.head.sequence) this.#moveTo(last.head, last.place)
  }

  #moveTo(head: ChainHead, place: Place): void {
    this.head = head
    this.place = place
    this.#headIsSuspect = false
    this.#accept(head, place)
  }

  /** Whether a record may stand here, given what could not be placed before it. */
  #follows(sequence: number): boolean {
    if (sequence === this.expected) return true
    const last = this.#strays.at(-1)
    if (!last) return false
    if (last.head && sequence === last.head.sequence + 1) {
      // Two in a row on the far side: records are missing, and from the stray on the chain is whole again.
      this.#moveTo(last.head, last.place)
      return true
    }
    // As many strays as missing records: they stand in their places, changed.
    if (sequence !== this.expected + this.#strays.length) return false
    this.#headIsSuspect = true
    return true
  }

  #noteStray(stray: Stray): void {
    // What matters is the last one and their number, which a flood of garbage must not turn into memory.
    if (this.#strays.length < 10_000) this.#strays.push(stray)
    else this.#strays[9_999] = stray
  }

  /** A record that says another hash of the one before: the one before was changed, or this one's `prev`. */
  #checkLink(prev: string, here: Place): void {
    if (this.#headIsSuspect || prev === this.head.hash) return
    const { sequence } = this.head
    const message =
      sequence === 0
        ? 'the first record does not begin a chain: its prev is not 64 zeros'
        : `record ${sequence} does not have the hash that record ${sequence + 1} names: one of the two was changed`
    this.#report({ ...(this.place ?? here), sequence: Math.max(sequence, 1), message })
  }

  #checkInstance(instance: string, place: Place, sequence: number): void {
    this.instance ??= instance
    if (instance !== this.instance) {
      this.#report({ ...place, sequence, message: `this record is of ${instance}, the chain is of ${this.instance}` })
    }
  }
}

function explainGap(expected: number, found: number): string {
  if (found < expected)
    return `record ${found} stands where ${expected} is expected: inserted, repeated or out of order`
  const missing = found - 1 === expected ? `record ${expected} is` : `records ${expected} to ${found - 1} are`
  return `record ${found} stands where ${expected} is expected: ${missing} missing, or this one was changed`
}
