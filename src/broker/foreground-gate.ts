// Work that somebody waits for goes before work that nobody waits for. A worker that ends a hundred thousand leases keeps its
// event loop busy, and each step of an end that somebody waits for would queue behind them; so they pause while there is one.

export class ForegroundGate {
  #waitedFor = 0
  #pausing: (() => void)[] = []

  /** Somebody waits for this work: whatever calls `giveWay` pauses until it is over. */
  async runFirst<T>(work: Promise<T>): Promise<T> {
    this.#waitedFor++
    try {
      return await work
    } finally {
      if (--this.#waitedFor === 0) for (const goOn of this.#pausing.splice(0)) goOn()
    }
  }

  /** For background work: resolves when nobody waits, and after `atMostMs` in any case, so that no crowd stops an order for good. */
  async giveWay(atMostMs = 50): Promise<void> {
    if (this.#waitedFor === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, atMostMs)
      this.#pausing.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
