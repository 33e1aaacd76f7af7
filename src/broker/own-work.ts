// What the sweeper does itself, without the queue. It runs beside the sweep: a provider that hangs must not keep the sweep
// from finding the others' leases, nor from being seen (no sweep for 10 s stops all issuing).

const atOnce = 16

export class OwnWork {
  readonly #running = new Map<string, Promise<void>>()
  #stopped = false

  /** Works through the items, 16 at once, unless the last batch of this lane still runs: what is left over is due again soon. */
  begin(lane: string, items: readonly string[], work: (item: string) => Promise<void>): void {
    if (this.#running.has(lane) || this.#stopped || items.length === 0) return
    const rest = [...items]
    const workThrough = async () => {
      for (let item = rest.shift(); item !== undefined && !this.#stopped; item = rest.shift()) await work(item)
    }
    const all = Promise.all(Array.from({ length: Math.min(atOnce, rest.length) }, workThrough))
    this.#running.set(
      lane,
      all.then(() => undefined).finally(() => this.#running.delete(lane)),
    )
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  /** Nothing more is begun; resolves when what is under way is over. The rest stays due, for others. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.settled()
  }
}
