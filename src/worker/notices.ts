// Schedules broker.deliverNotices; does none of the work.
import { announceMissed } from '../broker/announce-approval.js'
import { deliverNotices } from '../broker/deliver-notices.js'
import { handBackAfter } from '../broker/hand-back.js'
import type { Parts } from '../broker/parts.js'
import type { PostNotice } from '../broker/post-notice.js'

const everyMs = 500
const missedEveryMs = 30_000

export interface Notices {
  /** Resolves when the tries under way are over, or after `withinMs`: another worker has them then; none follows. */
  stop(withinMs?: number): Promise<void>
}

/** One page after the other; an error waits for the next. */
export function startNotices(parts: Parts, post: PostNotice, timeoutSeconds: number): Notices {
  let stopped = false
  let wake = () => {}
  const run = async () => {
    while (!stopped) {
      const found = await deliverNotices(parts, post, timeoutSeconds).catch((error: unknown) => {
        parts.log.debug({ err: error }, 'notices wait for the ledger')
        return 0
      })
      if (stopped || found > 0) continue
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
  const lookForMissed = () =>
    void announceMissed(parts).catch((error: unknown) =>
      parts.log.debug({ err: error }, 'approvals could not be listed'),
    )
  const missed = setInterval(lookForMissed, missedEveryMs)
  missed.unref()
  lookForMissed()
  return {
    async stop(withinMs = Number.POSITIVE_INFINITY) {
      stopped = true
      clearInterval(missed)
      wake()
      await handBackAfter(running, new AbortController(), withinMs)
    },
  }
}
