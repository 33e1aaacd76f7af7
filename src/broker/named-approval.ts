// A request that names an approval: found and the task's own, of this very request, and still agreed to by those who agreed.
import { BrokerError } from '../core/errors.js'
import { equalInConstantTime } from '../core/hash.js'
import { type Approval, type Bound, stateAt } from '../ledger/approval.js'
import { boundSha256, differencesOf } from './approval-bound.js'
import { agreementsOf, isAgreed } from './approvers.js'
import { ApprovalWanted } from './ask-approval.js'
import type { Decided } from './decide.js'
import type { Caller, Parts } from './parts.js'
import { recordDecision, refusalOf } from './refusal.js'
import { notFound, recordForeign } from './task-access.js'

/**
 * Throws `not_found` for an unknown one and, audited, for another task's: whoever has its id has nothing by it. `taskId`: null
 * for a task that is still to be opened.
 */
export async function resolveNamedApproval(
  parts: Parts,
  caller: Caller,
  taskId: string | null,
  id: string,
): Promise<Approval> {
  const approval = await parts.ledger.findApproval(id)
  if (approval?.record.bound.task === taskId) return approval
  const on = { ...(taskId === null ? {} : { task: taskId }), approval: id }
  if (approval) await recordForeign(parts, caller, null, { ...on, reason: 'an approval of another task' })
  throw notFound('approval')
}

/** As policies see it: who agreed, of those who still count. Absent until it is approved. */
export function approvalContext(parts: Parts, approval: Approval, now: number) {
  if (stateAt(approval, now) !== 'approved') return undefined
  const counted = new Set(agreementsOf(parts, approval, approval.votes).map(({ by }) => by))
  return {
    group: approval.record.bound.requirements[0]?.group ?? '',
    approvers: [...counted].sort(),
  }
}

/**
 * Whether this request, decided again just now, is what was approved and may be minted. Throws ApprovalWanted while it is
 * pending (202), `already_issued` when it was used, `approval_required` (403, audited) with what differs or why it does not count.
 */
export async function checkNamedApproval(
  parts: Parts,
  caller: Caller,
  approval: Approval,
  { bound, decided, now }: { bound: Bound; decided: Decided; now: number },
): Promise<void> {
  const refuseFor = async (why: string, differs: readonly string[] = []) => {
    const about = { approval: approval.id, why, ...(differs.length > 0 ? { differs: [...differs] } : {}) }
    await recordDecision(parts, caller, bound.task, decided, about)
    return new BrokerError('approval_required', `${why}; ask again without approval_id`, {
      members: {
        ...refusalOf(decided, decided.input).members,
        approval: { id: approval.id, state: stateAt(approval, now) },
        ...(differs.length > 0 ? { differs } : {}),
      },
    })
  }
  if (!equalInConstantTime(boundSha256(bound), approval.record.boundSha256)) {
    const differs = differencesOf(approval.record.bound, bound)
    throw await refuseFor(`${approval.id} is for another request: ${differs.join(', ')} differ`, differs)
  }
  switch (stateAt(approval, now)) {
    case 'used':
      throw alreadyUsed(approval.id, approval.lease)
    case 'pending':
      await recordDecision(parts, caller, bound.task, decided, { approval: approval.id })
      throw new ApprovalWanted(approval)
    case 'denied':
      throw await refuseFor(`${approval.id} was denied`)
    case 'expired':
      throw await refuseFor(`${approval.id} is over: its time was up`)
    case 'approved':
      if (isAgreed(parts, approval)) return
      throw await refuseFor(`${approval.id} does not count any more: somebody who agreed may not approve this now`)
  }
}

/** The 409 of an approval that was used, with the lease that it bought where that is known. */
export const alreadyUsed = (id: string, lease: string | null) =>
  new BrokerError('already_issued', `${id} already bought ${lease ?? 'its lease'}; one approval unlocks one request`, {
    members: { lease: { id: lease } },
  })
