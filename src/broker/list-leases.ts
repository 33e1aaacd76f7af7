// A page of leases for whoever watches: those that may be alive, those of one task whatever became of them, or what ended lately.
import { invalidField } from '../core/errors.js'
import type { Lease } from '../ledger/lease.js'
import { matches } from '../ledger/lease-match.js'
import type { LeaseMatch } from '../ledger/ledger.js'
import type { Parts } from './parts.js'
import { pageOfEnded } from './recently-ended.js'

interface Page {
  readonly leases: readonly Lease[]
  readonly cursor: string | null
}

/** Those that no index of what may be alive holds any more. */
const overStates: readonly string[] = ['revoked', 'expired', 'released', 'void']

/** Throws `invalid_request` for a cursor of something else, `ledger_unavailable`. */
export async function listLeases(parts: Parts, match: LeaseMatch, cursor: string | null, limit: number): Promise<Page> {
  const [, kind, at] = /^([te])\.(\d{1,15})?$/.exec(textOf(cursor)) ?? []
  if (match.task !== undefined) return await ofTask(parts, match, match.task, kind === 't' ? Number(at) : 0, limit)
  const isOver = match.state !== undefined && overStates.includes(match.state)
  if (isOver || kind === 'e') return await ofEnded(parts, match, at === undefined ? null : Number(at), limit)
  const page = await parts.ledger.scanLeases(match, [...parts.providers.keys()], cursor, limit)
  // Whose a leaked credential was is asked after its end, too.
  if (page.cursor !== null || match.fingerprint === undefined || match.state !== undefined) return page
  if (page.leases.length >= limit) return { leases: page.leases, cursor: cursorOf('e', '') }
  const ended = await ofEnded(parts, match, null, limit - page.leases.length)
  return { leases: [...page.leases, ...ended.leases], cursor: ended.cursor }
}

async function ofTask(parts: Parts, match: LeaseMatch, task: string, offset: number, limit: number): Promise<Page> {
  if (!Number.isSafeInteger(offset)) throw invalidField('cursor', 'expected a cursor from an earlier answer')
  const tree = await parts.ledger.taskTree(task)
  const ids = (await Promise.all(tree.map((id) => parts.ledger.leasesOfTask(id)))).flat().sort()
  const leases = (await parts.ledger.findLeases(ids)).filter((lease) => matches(lease, match))
  const page = leases.slice(offset, offset + limit)
  return { leases: page, cursor: offset + limit < leases.length ? cursorOf('t', `${offset + limit}`) : null }
}

async function ofEnded(parts: Parts, match: LeaseMatch, from: number | null, limit: number): Promise<Page> {
  const meant = async (ids: readonly string[]) =>
    (await parts.ledger.findLeases(ids)).filter((lease) => lease.endedAt !== null && matches(lease, match))
  const { found, next } = await pageOfEnded(parts, 'lease', from, limit, meant)
  return { leases: found, cursor: next === null ? null : cursorOf('e', `${next}`) }
}

const textOf = (cursor: string | null) => (cursor === null ? '' : Buffer.from(cursor, 'base64url').toString('utf8'))
const cursorOf = (kind: 't' | 'e', at: string) => Buffer.from(`${kind}.${at}`).toString('base64url')
