// What was started is ended again, the last first, on every way out.

export interface Undo {
  /** Remembers how to end something. Once everything is being ended it is ended at once, and this throws: start no more. */
  add(step: () => Promise<unknown>): void
  /** Ends everything, once; a step that fails does not keep the others from their turn. Returns what went wrong. */
  run(): Promise<unknown[]>
}

export function createUndo(): Undo {
  const steps: (() => Promise<unknown>)[] = []
  let running: Promise<unknown[]> | null = null
  const run = async () => {
    const failures: unknown[] = []
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      await step().catch((error: unknown) => failures.push(error))
    }
    return failures
  }
  return {
    add(step) {
      if (running === null) {
        steps.push(step)
        return
      }
      running = Promise.all([running, step()]).then(([failures]) => failures)
      throw new Error('everything is being ended')
    },
    run() {
      running ??= run()
      return running
    },
  }
}
