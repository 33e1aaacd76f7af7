// Lists, not streams: a stream takes 4 KiB for its first entry, and most tasks have five. Both ends are bounded by the script
// that writes them; everything here is a copy that may be lost.
import type { Connection } from './connection.js'
import type { RunScript } from './scripts.js'
import { timelineBounds as bounds, type CountEventsAnswer, type TimelineStore } from './timeline.js'
import { orUnavailable } from './unavailable.js'

/** HMGET names at once. */
const atOnce = 500

export function createTimelineStore(redis: Connection, tag: string, run: RunScript): TimelineStore {
  return {
    ...createEventCounts(run),
    async noteSecrets(task, digests) {
      await run('note-secrets', task, JSON.stringify(digests))
    },
    findSecrets: (tasks, digests) => findSecrets(redis, tag, tasks, digests),
    async noteRecords(records, gaps) {
      const limits = [bounds.perTask, bounds.claimedPerTask, bounds.recent, bounds.recentClaimed, bounds.orders]
      const flat = records.flatMap(({ task, kind, text }) => [task ?? '', kind, text])
      await run('note-records', JSON.stringify(limits), JSON.stringify(gaps), ...flat)
    },
    async readTimeline(task) {
      const key = `${tag}t:${task}`
      const [records, claimed, gap] = await orUnavailable(
        Promise.all([redis.lrange(`${key}:tl`, 0, -1), redis.lrange(`${key}:tc`, 0, -1), redis.hget(key, 'gap')]),
      )
      const complete = gap === null && records.length > 0 && records.length < bounds.perTask
      return { records: records.reverse(), claimed: claimed.reverse(), complete }
    },
    childrenOf: async (task) => (await orUnavailable(redis.smembers(`${tag}t:${task}:c`))).sort(),
    async readRecent(kind, from, limit) {
      // Places are counted from the first record ever, so that a page stays where it is while new ones come in front.
      const total = Number(await orUnavailable(redis.hget(`${tag}audit`, kind)))
      const place = from === null ? total : Math.min(from, total)
      const skipped = total - place
      const records = await orUnavailable(redis.lrange(`${tag}audit:${kind}`, skipped, skipped + limit - 1))
      return { records, from: place, next: records.length < limit ? null : place - records.length }
    },
    recentOrders: async () => (await orUnavailable(redis.lrange(`${tag}audit:orders`, 0, -1))).reverse(),
    oldestRecent: async () => (await orUnavailable(redis.lrange(`${tag}audit:records`, -1, -1)))[0] ?? null,
  }
}

function createEventCounts(run: RunScript) {
  return {
    async countEvents(task: string, events: number, limit: number): Promise<CountEventsAnswer> {
      const answer = await run('count-events', task, events, limit)
      const [outcome, left, first] = answer as [CountEventsAnswer['outcome'], number, number]
      if (outcome === 'quota') return { outcome, left, first: first === 1 }
      return outcome === 'ok' ? { outcome, left } : { outcome }
    },
    async giveBackEvents(task: string, events: number) {
      await run('give-back-events', task, events)
    },
  }
}

async function findSecrets(
  redis: Connection,
  tag: string,
  tasks: readonly string[],
  digests: () => readonly string[],
): Promise<ReadonlySet<string>> {
  const keys = tasks.map((task) => `${tag}t:${task}:k`)
  const there = await orUnavailable(Promise.all(keys.map((key) => redis.exists(key))))
  const noted = keys.filter((_, i) => there[i] === 1)
  const found = new Set<string>()
  // Hashing the candidates is the dear part, and most tasks hold nothing that a pattern would not find.
  const asked = noted.length === 0 ? [] : digests()
  for (const key of noted) {
    for (let at = 0; at < asked.length; at += atOnce) {
      const some = asked.slice(at, at + atOnce)
      const answers = await orUnavailable(redis.hmget(key, ...some))
      for (const [i, digest] of some.entries()) if (answers[i] != null) found.add(digest)
    }
  }
  return found
}
