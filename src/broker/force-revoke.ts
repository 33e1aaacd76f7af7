// An operator's order over many leases: counted, written down, then carried out page by page by a worker, also after a crash.
import type { RevocationRequest } from '../api/revocations.js'
import type { Json } from '../core/canonical-json.js'
import { createId } from '../core/ids.js'
import type { Ending, LeaseMatch, LeaseRef, Revocation } from '../ledger/ledger.js'
import type { Access } from '../policy/decision.js'
import { accessRanks } from './access-ranks.js'
import { endLeases } from './end-leases.js'
import { endTask } from './end-task.js'
import { ForegroundGate } from './foreground-gate.js'
import { matchOf } from './lease-match.js'
import type { Caller, Parts } from './parts.js'
import { recordEnding } from './records.js'

/**
 * Counts what the target reaches and, unless it is a dry run, orders it ended. The order is on disk before the answer; where
 * the audit is down it is carried out all the same (I4), and `audit_unavailable` thrown.
 */
export async function forceRevoke(
  parts: Parts,
  caller: Caller,
  request: RevocationRequest,
  /** The order that was written with its lock: it is due already. */
  locked?: { readonly revocation: string; readonly lock: { readonly id: string } },
): Promise<{ id: string | null; matched: number; lock?: string }> {
  const match = matchOf(request.target)
  const matched = await countLive(parts, match)
  if (request.dry_run) return { id: null, matched }
  const id = locked?.revocation ?? createId('rev', parts.clock.now())
  // Before the ledger has it: a worker may carry it out from then on, and it would not know whether this record is there.
  const append = parts.audit.append({
    event: 'revocation.ordered',
    actor: caller.principal.id,
    request_id: caller.requestId,
    revocation: id,
    target: request.target as unknown as Json,
    reason: request.reason,
    matched,
    ...(locked ? { lock: locked.lock.id } : {}),
  })
  const [record] = await Promise.allSettled([append])
  await parts.ledger.createRevocation({ id, match, reason: request.reason, actor: caller.principal.id, matched })
  if (matched <= large || !(await hasWorker(parts))) await carryOutOrLeave(parts, id)
  if (record.status === 'rejected') throw record.reason
  return { id, matched, ...(locked ? { lock: locked.lock.id } : {}) }
}

/** An order over more leases than this is a worker's: the operator need not wait for it, and others ask this broker meanwhile. */
const large = 1000

/** Somebody has swept within the last seconds, and so will begin the order at once. */
async function hasWorker(parts: Parts): Promise<boolean> {
  const ready = await parts.ledger.ready().catch(() => null)
  return ready !== null && ready.sweptAgoMs !== null && ready.sweptAgoMs < 2000
}

/** At once, by this broker: an incident does not wait for a sweep. What it cannot do a worker will. */
export async function carryOutOrLeave(parts: Parts, id: string): Promise<void> {
  await carryOut(parts, id).catch((error: unknown) =>
    parts.log.warn({ err: error, revocation: id }, 'a worker will carry the order out'),
  )
}

async function countLive(parts: Parts, match: LeaseMatch): Promise<number> {
  const seen = new Set<string>()
  for await (const page of pages(parts, match)) for (const lease of page) seen.add(lease.id)
  return seen.size
}

async function* pages(parts: Parts, match: LeaseMatch): AsyncGenerator<LeaseRef[]> {
  if (match.lease !== undefined) {
    const lease = await parts.ledger.findLease(match.lease)
    if (lease && lease.endedAt === null) yield [{ id: lease.id, access: lease.record.access }]
    return
  }
  yield* parts.ledger.liveRefs(match, [...parts.providers.keys()])
}

/** Small, so that whoever waits for a single lease to end waits behind one page at most. */
const pageSize = 50

/** Orders every lease that the order reaches to end. Idempotent: run again after a crash it does no harm. */
export async function carryOut(parts: Parts, id: string, foreground = new ForegroundGate()): Promise<void> {
  const kept = setInterval(() => {
    parts.ledger.keepOrder(id).catch((error: unknown) => parts.log.debug({ err: error }, 'an order was not kept'))
  }, 1000)
  kept.unref()
  try {
    await endAll(parts, id, foreground)
  } finally {
    clearInterval(kept)
  }
}

async function endAll(parts: Parts, id: string, foreground: ForegroundGate): Promise<void> {
  const order: Revocation | null = await parts.ledger.findRevocation(id)
  if (!order) return await parts.ledger.revocationScanned(id)
  const { match, actor } = order
  const ending = { reason: 'revoked', actor, revocation: id, forced: true } as const
  if (match.task !== undefined && !order.keepsTask)
    await endTask(parts, match.task, { outcome: 'revoked', actor, order: ending }).catch(unlessNotFound)
  const found: Record<Access, string[]> = { admin: [], deploy: [], write: [], read: [] }
  for await (const page of pages(parts, match)) {
    for (const lease of page) found[lease.access].push(lease.id)
    // Nothing outranks these: they need not wait for the end of the scan.
    await endPages(parts, found.admin.splice(0), ending, 0, foreground)
    await foreground.giveWay()
  }
  const left = accessRanks.reduce((sum, access) => sum + found[access].length, 0)
  for (const [rank, access] of accessRanks.entries()) {
    // Of a large order the workers take what they can; jobs for all of it would keep others waiting.
    const how = left > large ? { ...ending, bulk: rank } : ending
    await endPages(parts, found[access], how, rank, foreground)
  }
  await parts.ledger.revocationScanned(id)
}

async function endPages(
  parts: Parts,
  ids: readonly string[],
  ending: Ending,
  rank: number,
  foreground: ForegroundGate,
): Promise<void> {
  for (let i = 0; i < ids.length; i += pageSize) {
    await foreground.giveWay()
    const page = ids.slice(i, i + pageSize)
    // A broker and a worker may both be at it, and a task's own end has recorded its leases: once is enough.
    await recordEnding(parts, await endLeases(parts, page, ending, rank), ending, null)
  }
}

function unlessNotFound(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'not_found')) throw error
}
