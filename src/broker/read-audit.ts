// The newest records of every program on this ledger, filtered. A window, said in the answer; the files have the rest.
import type { AuditEntry } from '../api/audit.js'
import { invalidField } from '../core/errors.js'
import { timelineBounds } from '../ledger/timeline.js'
import type { Parts } from './parts.js'
import { inOrder } from './read-timeline.js'

export interface AuditFilter {
  readonly task?: string | undefined
  readonly principal?: string | undefined
  readonly account?: string | undefined
  /** An event, or its first word. */
  readonly type?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

const atOnce = 500

/** Newest first. `cursor`: places in the two lists, as an earlier page gave them. Throws `ledger_unavailable`. */
export async function readAudit(
  parts: Parts,
  filter: AuditFilter,
  sees: (entry: AuditEntry) => boolean,
  cursor: string | undefined,
  limit: number,
): Promise<{ records: AuditEntry[]; nextCursor: string | null; oldest: string | null; newest: string | null }> {
  const [from, claimedFrom] = parseCursor(cursor)
  const wants = matcherOf(filter)
  const take = async (kind: 'records' | 'claimed', place: number | null) =>
    await takeMatching(parts, kind, place, limit, (entry) => wants(entry) && sees(entry))
  const [records, claimed, [oldest, newest]] = await Promise.all([
    take('records', from),
    take('claimed', claimedFrom),
    windowOf(parts),
  ])
  const page = mergeLists(records.taken, claimed.taken, limit)
  const rest = records.taken.length + claimed.taken.length > page.length || records.more || claimed.more
  const nextCursor = rest
    ? formatCursor([placeAfter(records, page, from), placeAfter(claimed, page, claimedFrom)])
    : null
  const entries = page.map(({ entry }) => entry).sort((a, b) => inOrder(b, a))
  return { records: entries, nextCursor, oldest, newest }
}

/**
 * The newest of both, each list in its own order: records of several programs arrive a little out of their times' order, and a
 * page that took them by time would begin the next one behind what it left out.
 */
function mergeLists(a: readonly Taken[], b: readonly Taken[], limit: number): Taken[] {
  const page: Taken[] = []
  for (let i = 0, j = 0; page.length < limit; ) {
    const [one, other] = [a[i], b[j]]
    if (one !== undefined && (other === undefined || inOrder(one.entry, other.entry) >= 0)) {
      page.push(one)
      i++
    } else if (other !== undefined) {
      page.push(other)
      j++
    } else break
  }
  return page
}

interface Taken {
  readonly entry: AuditEntry
  /** The list's place behind it. */
  readonly after: number
}
interface Matching {
  readonly taken: Taken[]
  /** Where looking ended. */
  readonly end: number
  readonly more: boolean
}

async function takeMatching(
  parts: Parts,
  kind: 'records' | 'claimed',
  from: number | null,
  limit: number,
  wants: (entry: AuditEntry) => boolean,
): Promise<Matching> {
  const taken: Taken[] = []
  let place = from
  for (;;) {
    const page = await parts.ledger.readRecent(kind, place, atOnce)
    for (const [i, text] of page.records.entries()) {
      const entry = JSON.parse(text) as AuditEntry
      if (!wants(entry)) continue
      taken.push({ entry, after: page.from - i - 1 })
      if (taken.length > limit) return { taken, end: page.from - i - 1, more: true }
    }
    if (page.next === null) return { taken, end: page.from - page.records.length, more: false }
    place = page.next
  }
}

/** Behind the last of this list that is on the page; where none of it is, the page begins there again. */
function placeAfter(from: Matching, page: readonly Taken[], begun: number | null): number {
  const last = from.taken.filter((one) => page.includes(one)).at(-1)
  const all = from.taken.every((one) => page.includes(one))
  if (all && !from.more) return from.end
  return last?.after ?? begun ?? Number.MAX_SAFE_INTEGER
}

async function windowOf({ ledger }: Parts): Promise<[string | null, string | null]> {
  const [newest] = (await ledger.readRecent('records', null, 1)).records
  const oldest = await ledger.oldestRecent()
  return [timeOf(oldest), timeOf(newest)]
}

const timeOf = (text: string | null | undefined) => (text == null ? null : (JSON.parse(text) as AuditEntry).time)

/** `to` is the first moment that is too late. */
export function matcherOf({ task, principal, account, type, from, to }: AuditFilter): (entry: AuditEntry) => boolean {
  const [begin, end] = [instantOf(from), instantOf(to)]
  return (entry) =>
    (task === undefined || entry.task === task) &&
    (principal === undefined || entry.principal === principal || entry.actor === principal) &&
    (account === undefined || entry.account === account) &&
    (type === undefined || entry.event === type || entry.event.startsWith(`${type}.`)) &&
    (begin === null || Date.parse(entry.time) >= begin) &&
    (end === null || Date.parse(entry.time) < end)
}

const instantOf = (text: string | undefined) => (text === undefined ? null : Date.parse(text))

function parseCursor(cursor: string | undefined): [number | null, number | null] {
  if (cursor === undefined) return [null, null]
  const places = Buffer.from(cursor, 'base64url').toString('utf8').split('.').map(Number)
  const [a, b] = places
  if (
    places.length !== 2 ||
    a === undefined ||
    b === undefined ||
    ![a, b].every((n) => Number.isSafeInteger(n) && n >= 0)
  )
    throw invalidField('cursor', 'expected a cursor from an earlier answer')
  return [a, b]
}

const formatCursor = (places: readonly [number, number]) => Buffer.from(places.join('.')).toString('base64url')

/** What `window` says of itself. */
export const auditWindow = {
  covers:
    'the newest records of every program on this ledger; for older or whole ones: hallpass audit show, over the files',
  most_records: timelineBounds.recent,
  most_claimed: timelineBounds.recentClaimed,
} as const
