// What has ended lately, found by the copy of the audit that brokers keep: the ledger has no index of what is over, since that
// would cost as much as all that lives. A window, as every reader of that copy has it; the files know the rest.
import type { AuditEntry } from '../api/audit.js'
import type { Parts } from './parts.js'

const atOnce = 500

/**
 * Newest first. `from`: where an earlier page ended; `resolve`: those of these ids that are still known and meant. Throws
 * `ledger_unavailable`.
 */
export async function pageOfEnded<One extends { readonly id: string }>(
  parts: Parts,
  what: 'lease' | 'task',
  from: number | null,
  limit: number,
  resolve: (ids: readonly string[]) => Promise<readonly One[]>,
): Promise<{ found: One[]; next: number | null }> {
  const found: One[] = []
  const seen = new Set<string>()
  for (let place = from; ; ) {
    const page = await parts.ledger.readRecent('records', place, atOnce)
    const ids = page.records.map((text) => endedIn(JSON.parse(text) as AuditEntry, what))
    const known = new Map((await resolve(ids.filter((id) => id !== null))).map((one) => [one.id, one]))
    for (const [i, id] of ids.entries()) {
      const one = id === null || seen.has(id) ? undefined : known.get(id)
      if (one === undefined) continue
      seen.add(one.id)
      found.push(one)
      if (found.length === limit) return { found, next: page.from - i - 1 }
    }
    if (page.next === null) return { found, next: null }
    place = page.next
  }
}

const endedIn = (entry: AuditEntry, what: 'lease' | 'task') =>
  entry.event === `${what}.ended` ? (entry[what] ?? null) : null
