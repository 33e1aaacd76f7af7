// Tells the webhook what is due, and tries again what it did not take. No request ever waits for it.
import type { Parts } from './parts.js'
import type { PostNotice } from './post-notice.js'

const atOnce = 20
const firstRetryMs = 1000
const lastRetryMs = 300_000
/** With the pauses above, tried for a good hour: who should have been told hears of nothing that is long over. */
const mostTries = 22

type NoticeParts = Pick<Parts, 'ledger' | 'log' | 'metrics'>

/** One page of what is due; answers how many there were. Throws only when the ledger cannot be reached. */
export async function deliverNotices(parts: NoticeParts, post: PostNotice, timeoutSeconds: number): Promise<number> {
  // Longer than a try may take: what a dead worker had is another's then, and not before.
  const due = await parts.ledger.takeDueNotices(atOnce, timeoutSeconds * 1000 + 5000)
  await Promise.all(
    due.map(async ({ id, body, tries }) => {
      const failure = await post({ id, body }).then(
        () => null,
        (error: Error) => error,
      )
      if (failure === null) {
        parts.metrics.notices.inc({ outcome: 'delivered' })
        return await parts.ledger.noticeDelivered(id)
      }
      await noteFailure(parts, id, failure, tries)
    }),
  )
  return due.length
}

async function noteFailure({ ledger, log, metrics }: NoticeParts, id: string, error: Error, tries: number) {
  const isLast = tries >= mostTries
  metrics.notices.inc({ outcome: isLast ? 'given_up' : 'failed' })
  log.warn({ notice: id, tries, why: error.message }, isLast ? 'a notice was given up' : 'a notice is tried again')
  await ledger.noticeFailed(id, error.message.slice(0, 300), isLast ? null : retryAfter(tries))
}

/** Doubled each time up to five minutes, a random half of it taken off: many that failed at once do not return at once. */
export function retryAfter(tries: number): number {
  return Math.min(lastRetryMs, firstRetryMs * 2 ** (tries - 1)) * (0.5 + Math.random() / 2)
}

/** What operators should see of it; null when all is well. */
export async function noticeTrouble({ ledger }: Pick<Parts, 'ledger'>): Promise<string | null> {
  const { waiting, trouble } = await ledger.noticeState()
  if (trouble === null) return null
  return `${trouble.error} at ${new Date(trouble.at).toISOString()}; ${waiting} to be told`
}
