// What a program has opened and must close again, the last opened first.

export class Opened {
  readonly #closers: (() => unknown)[] = []

  /** Answers the thing itself. */
  add<T>(thing: T, close: (thing: T) => unknown): T {
    this.#closers.push(() => close(thing))
    return thing
  }

  /** Closes everything, whatever of it fails. */
  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close()
      } catch {
        // Ending: there is nobody left to tell, and the rest is to be closed all the same.
      }
    }
  }
}
