// A revocation that failed: an operator has it tried again, or closes it with a reason that stays in the audit.
import { invalidField } from '../core/errors.js'
import type { Lease, Receipt } from '../ledger/lease.js'
import { interactive } from '../queue/revocation-queue.js'
import type { Caller, Parts } from './parts.js'
import { recordEnded } from './records.js'
import { notFound } from './task-access.js'

/**
 * Tried at once and from the first attempt on, also where the audit is down (I4), and `audit_unavailable` thrown then. Throws
 * `invalid_request` when its revocation has not failed.
 */
export async function retryLease(parts: Parts, caller: Caller, lease: Lease, reason?: string): Promise<Lease> {
  checkFailed(lease.state)
  const [record] = await Promise.allSettled([recordOrder(parts, caller, lease, 'lease.retry_ordered', reason)])
  const answer = await parts.ledger.retryLease(lease.id)
  if (answer.outcome === 'state') throw notFailed(answer.state)
  const due = { lease: lease.id, provider: lease.record.provider, attempts: 0, waitingMs: 0 }
  await parts.queue
    .add([due], interactive)
    .catch((error: unknown) => parts.log.warn({ err: error, lease: lease.id }, 'the sweeper will find the retry'))
  if (record.status === 'rejected') throw record.reason
  return await resolve(parts, lease.id)
}

/**
 * Nobody tries any more; it counts as held until its natural end, and its receipt stays `failed`. The reason is on disk first.
 * Throws `invalid_request` when its revocation has not failed, `audit_unavailable`.
 */
export async function abandonLease(parts: Parts, caller: Caller, lease: Lease, reason: string): Promise<Lease> {
  checkFailed(lease.state)
  await recordOrder(parts, caller, lease, 'lease.abandon_ordered', reason)
  const answer = await parts.ledger.abandonLease(lease.id, caller.principal.id)
  if (answer.outcome === 'state') throw notFailed(answer.state)
  const abandoned = await resolve(parts, lease.id)
  const receipt: Receipt = abandoned.receipt ?? { outcome: 'failed', evidence: 'none', at: parts.clock.now() }
  await recordEnded(parts, abandoned, 'abandoned', receipt)
  parts.metrics.leasesEnded.inc({ provider: lease.record.provider, state: 'abandoned' })
  return abandoned
}

function checkFailed(state: string): void {
  if (state !== 'failed') throw notFailed(state)
}

const notFailed = (state: string | null) =>
  invalidField('id', `only a failed revocation can be retried or abandoned; this lease is ${state ?? 'unknown'}`)

async function recordOrder(
  parts: Parts,
  caller: Caller,
  { id, record }: Lease,
  event: 'lease.retry_ordered' | 'lease.abandon_ordered',
  reason: string | undefined,
): Promise<void> {
  await parts.audit.append({
    event,
    principal: record.principal,
    account: record.account,
    task: record.task,
    lease: id,
    actor: caller.principal.id,
    request_id: caller.requestId,
    ...(reason === undefined ? {} : { reason }),
  })
}

async function resolve(parts: Parts, id: string): Promise<Lease> {
  const lease = await parts.ledger.findLease(id)
  if (lease === null) throw notFound('lease')
  return lease
}
