// Schedules broker.keepContinuity: each second, and at once when something is doubted. Does none of the work.
import type { Logger } from '../telemetry/logger.js'

const everyMs = 1000

export interface Beating {
  /** Beats without waiting for the next second. */
  soon(): void
  /** Resolves when the beat under way is over; none follows. */
  stop(): Promise<void>
}

/** One beat after the other; an error waits for the next. */
export function startBeating(beat: () => Promise<void>, log: Logger): Beating {
  let stopped = false
  let asked = false
  let wake = () => {}
  const run = async () => {
    while (!stopped) {
      asked = false
      await beat().catch((error: unknown) =>
        log.warn({ err: error }, 'the ledger could not be asked; the next beat does'),
      )
      if (stopped || asked) continue
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
  const running = run()
  return {
    soon() {
      asked = true
      wake()
    },
    async stop() {
      stopped = true
      wake()
      await running
    },
  }
}
