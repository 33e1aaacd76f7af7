// An operator's order over many leases: counted, written down, then carried out page by page by a worker, also after a crash.
import type { RevocationRequest, Target } from '../api/revocations.js'
import type { Json } from '../core/canonical-json.js'
import { createId } from '../core/ids.js'
import type { Lease } from '../ledger/lease.js'
import type { LeaseMatch, Revocation } from '../ledger/ledger.js'
import { endLeases } from './end-leases.js'
import { endTask } from './end-task.js'
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
): Promise<{ id: string | null; matched: number }> {
  const match = matchOf(request.target)
  const matched = await countLive(parts, match)
  if (request.dry_run) return { id: null, matched }
  const id = createId('rev', parts.clock.now())
  // Before the ledger has it: a worker may carry it out from then on, and it would not know whether this record is there.
  const append = parts.audit.append({
    event: 'revocation.ordered',
    actor: caller.principal.id,
    request_id: caller.requestId,
    revocation: id,
    target: request.target as unknown as Json,
    reason: request.reason,
    matched,
  })
  const [record] = await Promise.allSettled([append])
  await parts.ledger.createRevocation({ id, match, reason: request.reason, actor: caller.principal.id, matched })
  // At once, by this broker: an incident does not wait for a sweep.
  await carryOut(parts, id).catch((error: unknown) =>
    parts.log.warn({ err: error, revocation: id }, 'a worker will carry the order out'),
  )
  if (record.status === 'rejected') throw record.reason
  return { id, matched }
}

/** The live leases that an order for this target reaches. */
export const matchOf = (target: Target): LeaseMatch => ('all' in target ? {} : { ...target })

async function countLive(parts: Parts, match: LeaseMatch): Promise<number> {
  const seen = new Set<string>()
  for await (const page of pages(parts, match)) for (const lease of page) seen.add(lease.id)
  return seen.size
}

async function* pages(parts: Parts, match: LeaseMatch) {
  if (match.lease !== undefined) {
    const lease = await parts.ledger.findLease(match.lease)
    if (lease && lease.endedAt === null) yield [lease]
    return
  }
  yield* parts.ledger.liveLeases(match, [...parts.providers.keys()])
}

/** Orders every lease that the order reaches to end. Idempotent: run again after a crash it does no harm. */
export async function carryOut(parts: Parts, id: string): Promise<void> {
  const order: Revocation | null = await parts.ledger.findRevocation(id)
  if (!order) return await parts.ledger.revocationScanned(id)
  const { match, actor } = order
  const ending = { reason: 'revoked', actor, revocation: id, forced: true } as const
  if (match.task !== undefined) await endTask(parts, match.task, 'revoked', actor, null, ending).catch(unlessNotFound)
  for await (const page of pages(parts, match)) {
    await endLeases(
      parts,
      page.map((lease) => lease.id),
      ending,
    )
    // A broker and a worker may both be at it, and a task's own end has recorded its leases: once is enough.
    const isTold = (lease: Lease) =>
      lease.state === 'revoking' && lease.endReason === 'revoked' && lease.endActor === actor
    const fresh = page.filter((lease) => !isTold(lease))
    await recordEnding(parts, fresh, ending, null)
  }
  await parts.ledger.revocationScanned(id)
}

function unlessNotFound(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'not_found')) throw error
}
