// Schedules broker.sweep; does none of the work.
import type { ForegroundGate } from '../broker/foreground-gate.js'
import { handBackAfter } from '../broker/hand-back.js'
import { endOrphans } from '../broker/orphans.js'
import type { Parts } from '../broker/parts.js'
import { sweep } from '../broker/sweep.js'
import { SweepPool } from '../broker/sweep-pool.js'

const everyMs = 250
/** A page that was full has more behind it: come back at once. */
const fullPage = 400

/** More often than the ledger gives a turn, so that a worker that ended mid-way is followed by another soon. */
const orphansEveryMs = 15_000

export interface Sweeper {
  /** Resolves when the sweep and the revocations under way are over, or were handed back after `withinMs`; none follows. */
  stop(withinMs?: number): Promise<void>
}

/** One sweep after the other, each at the latest a quarter of a second after the last; an error waits for the next. */
export function startSweeper(parts: Parts, foreground?: ForegroundGate): Sweeper {
  let stopped = false
  let wake = () => {}
  const pool = new SweepPool(foreground)
  const run = async () => {
    while (!stopped) {
      const found = await sweep(parts, pool).catch((error: unknown) => {
        parts.log.warn({ err: error }, 'a sweep failed; the next one tries again')
        return 0
      })
      if (stopped || found >= fullPage) continue
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
  // In the pool: a long list holds up no sweep, and none is begun while one is read.
  const lookForOrphans = () => pool.begin('orphans:', ['all'], async () => void (await endOrphans(parts)))
  const orphans = setInterval(lookForOrphans, orphansEveryMs)
  orphans.unref()
  lookForOrphans()
  return {
    async stop(withinMs) {
      stopped = true
      clearInterval(orphans)
      wake()
      await Promise.all([
        handBackAfter(running, new AbortController(), withinMs ?? Number.POSITIVE_INFINITY),
        pool.stop(withinMs),
      ])
    },
  }
}
