// Notices as they stand in Redis: `n:<notice>` is one, `due:notices` says when it is tried next, `noticing` how the last try went.
import type { Connection } from './connection.js'
import type { NoticeState, NoticeStore } from './notices.js'
import type { RunScript } from './scripts.js'
import { orUnavailable } from './unavailable.js'

/** An unbounded key is a future outage. */
const mostWaiting = 10_000

export function createNoticeStore(redis: Connection, tag: string, run: RunScript): NoticeStore {
  return {
    addNotice: async ({ id, body }) => (await run('add-notice', id, body, mostWaiting)) as 'ok' | 'again' | 'full',
    async takeDueNotices(limit, claimMs) {
      const page = (await run('take-due-notices', limit, claimMs)) as [string, string, number][]
      return page.map(([id, body, tries]) => ({ id, body, tries }))
    },
    async noticeDelivered(id) {
      await run('settle-notice', id, '', '')
    },
    async noticeFailed(id, error, retryMs) {
      await run('settle-notice', id, error, retryMs === null ? '' : Math.round(retryMs))
    },
    noticeState: () => readNoticeState(redis, tag),
  }
}

/** How many wait, and why the last try failed. */
export async function readNoticeState(redis: Connection, tag: string): Promise<NoticeState> {
  const [waiting, { error, at }] = await Promise.all([
    orUnavailable(redis.zcard(`${tag}due:notices`)),
    orUnavailable(redis.hgetall(`${tag}noticing`)),
  ])
  return { waiting, trouble: error === undefined ? null : { error, at: Number(at) } }
}
