// One story of a task and of all below it, from the ledger's bounded copy of the audit.
import type { AuditEntry } from '../api/audit.js'
import type { Task } from '../ledger/task.js'
import { OrderMatcher } from './order-matcher.js'
import type { Parts } from './parts.js'

/** A tree may be wider than anyone reads at once. */
const mostTasks = 200
/** Of two kilobytes each at most: whoever opened the tasks may ask for their story as often as they like. */
const mostRecords = 5000

export interface ReadTimeline {
  readonly records: AuditEntry[]
  /** Nothing was cut, and no record is known to be missing. */
  readonly complete: boolean
}

/**
 * By time, then instance and sequence. `sees`: whether what a task's worker claims of itself is told; what we did in it always
 * is, since whoever opened a task answers for all below it. Throws `ledger_unavailable`.
 */
export async function readTimeline(parts: Parts, root: Task, sees: (task: Task) => boolean): Promise<ReadTimeline> {
  const records: AuditEntry[] = []
  let complete = true
  let read = 0
  for (let level: Task[] = [root]; level.length > 0; ) {
    const below: string[] = []
    for (const task of level) {
      if (++read > mostTasks || records.length > mostRecords)
        return { records: await withOrders(parts, records), complete: false }
      const [timeline, children] = await Promise.all([
        parts.ledger.readTimeline(task.id),
        parts.ledger.childrenOf(task.id),
      ])
      complete &&= timeline.complete
      records.push(...[...timeline.records, ...(sees(task) ? timeline.claimed : [])].map(readEntry))
      below.push(...children)
    }
    const found = await Promise.all(below.slice(0, mostTasks).map((id) => parts.ledger.findTask(id)))
    complete &&= found.every((task) => task !== null)
    level = found.filter((task) => task !== null)
  }
  return { records: await withOrders(parts, records), complete }
}

/** What operators ordered meanwhile of whoever works here, in its place. */
async function withOrders(parts: Parts, records: readonly AuditEntry[]): Promise<AuditEntry[]> {
  const matcher = new OrderMatcher()
  for (const record of records) matcher.learn(record)
  const orders = (await parts.ledger.recentOrders()).map(readEntry).filter((order) => matcher.matches(order))
  return [...records, ...orders].sort(inOrder)
}

const readEntry = (text: string) => JSON.parse(text) as AuditEntry

/** RFC 3339 with milliseconds in UTC sorts as text. */
export function inOrder(a: AuditEntry, b: AuditEntry): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1
  if (a.instance !== b.instance) return a.instance < b.instance ? -1 : 1
  return a.seq - b.seq
}
