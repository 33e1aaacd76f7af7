// The work that the sweeper does itself, without the queue, in named lanes. It runs beside the sweep: a provider that hangs must
// not keep the sweep from finding the others' leases, nor from being seen (no sweep for 10 s stops all issuing).
import { setMaxListeners } from 'node:events'
import { ForegroundGate } from './foreground-gate.js'
import { handBackAfter } from './hand-back.js'

/** As many calls as a far side may be asked to take beside those of the queue. */
const atOnce = 16

export class SweepPool {
  readonly #running = new Map<string, Promise<void>>()
  #stopped = false
  readonly #handBack = new AbortController()

  /** Aborted when what is under way is to be handed back. */
  get stopped(): AbortSignal {
    return this.#handBack.signal
  }

  /**
   * Works through the items, 16 at once unless told, unless the last batch of this lane still runs: what is left over is due
   * again soon. Resolves when the lane is through; nobody needs to wait for it.
   */
  async begin(
    lane: string,
    items: readonly string[],
    work: (item: string) => Promise<void>,
    width = atOnce,
  ): Promise<void> {
    if (this.#running.has(lane) || this.#stopped || items.length === 0) return
    const rest = [...items]
    const workThrough = async () => {
      for (let item = rest.shift(); item !== undefined && !this.#stopped; item = rest.shift()) await work(item)
    }
    const all = Promise.all(Array.from({ length: Math.min(width, rest.length) }, workThrough))
    const through = all.then(() => undefined).finally(() => this.#running.delete(lane))
    this.#running.set(lane, through)
    await through
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  /** What somebody waits for goes before anything in here. */
  readonly foreground: ForegroundGate

  constructor(foreground = new ForegroundGate()) {
    this.foreground = foreground
    // One listener per revocation under way, and each takes its own away: many are no leak.
    setMaxListeners(0, this.#handBack.signal)
  }

  /** Nothing more is to be begun. */
  get stopping(): boolean {
    return this.#stopped
  }

  /** Nothing more is begun; resolves when what is under way is over, or is handed back after `withinMs`. The rest stays due. */
  async stop(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#stopped = true
    await handBackAfter(this.settled(), this.#handBack, withinMs)
  }
}
