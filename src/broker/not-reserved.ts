// Why nothing was reserved: the ledger's answer → the error that the caller gets. Nothing was minted in any of these cases.
import { BrokerError } from '../core/errors.js'
import { equalInConstantTime } from '../core/hash.js'
import { rolledBack } from '../ledger/unavailable.js'
import type { ReserveAnswer } from '../ledger/way-out.js'
import type { Decided } from './decide.js'
import type { LeaseRequest } from './lease-request.js'
import { lockedBy } from './locked-by.js'
import { alreadyUsed } from './named-approval.js'
import type { Caller, Parts } from './parts.js'
import { recordDecision } from './refusal.js'
import { leaseView } from './views.js'

/** The error to throw for an answer that nothing can be tried again for. A refused approval is audited first. */
export async function notReserved(
  parts: Parts,
  caller: Caller,
  request: LeaseRequest,
  decided: Decided,
  answer: Exclude<ReserveAnswer, { outcome: 'ok' | 'version' }>,
): Promise<BrokerError> {
  switch (answer.outcome) {
    case 'again':
      return await alreadyIssued(parts, answer, request)
    case 'locked':
      return await lockedBy(parts, [answer.target])
    case 'approval':
      return await notApproved(parts, caller, request, decided, answer.state)
    case 'quota':
      return new BrokerError('quota', `${answer.limit} is reached`, { retryAfterSeconds: answer.retryAfterSeconds })
    case 'closed':
      return new BrokerError('task_closed', `${request.taskId} has ended`)
    case 'no_worker':
      return new BrokerError('no_worker', 'no worker has swept for 10 s, so nothing could be revoked', {
        retryAfterSeconds: 5,
      })
    case 'rolled_back':
      return rolledBack(5)
    case 'exists':
      return new BrokerError('internal', `${request.leaseId} is taken`)
  }
}

/**
 * The 409 of an Idempotency-Key that was used, with the lease, so that it can be released: it is the task's own, and so the
 * caller's. The 422 where another body came with the key.
 */
export async function alreadyIssued(
  parts: Parts,
  prior: { readonly lease: string; readonly bodySha256: string },
  { idempotency }: LeaseRequest,
): Promise<BrokerError> {
  if (!equalInConstantTime(prior.bodySha256, idempotency?.bodySha256 ?? '')) {
    return new BrokerError('idempotency_mismatch', 'this Idempotency-Key was used with another request')
  }
  const lease = await parts.ledger.findLease(prior.lease)
  const detail = `this Idempotency-Key already bought ${prior.lease}; its secret was shown once`
  return new BrokerError('already_issued', detail, {
    members: { lease: lease === null ? { id: prior.lease } : leaseView(lease) },
  })
}

/** Between our look and the reservation it was used by another repeat, or its time was up. */
async function notApproved(
  parts: Parts,
  caller: Caller,
  { taskId, approvalId }: LeaseRequest,
  decided: Decided,
  state: string,
): Promise<BrokerError> {
  const id = approvalId ?? ''
  if (state === 'used') return alreadyUsed(id, (await parts.ledger.findApproval(id))?.lease ?? null)
  await recordDecision(parts, caller, taskId, decided, { approval: id, why: state })
  return new BrokerError('approval_required', `${id} is over: its time was up; ask again without approval_id`)
}
