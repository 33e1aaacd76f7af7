// A request that people have to agree to first: asked once, however often it is repeated, and nothing is minted.
import { BrokerError } from '../core/errors.js'
import { createId } from '../core/ids.js'
import { plainText } from '../core/plain-text.js'
import { type Actor, type Approval, type Bound, stateAt } from '../ledger/approval.js'
import type { AskApproval } from '../ledger/approval-ledger.js'
import type { Task } from '../ledger/task.js'
import { boundSha256, denialKeys } from './approval-bound.js'
import { announce, requestedRecord } from './approval-records.js'
import { isAgreed } from './approvers.js'
import type { Decided } from './decide.js'
import { withdraw } from './expire-approvals.js'
import { approvalTargets } from './lock-targets.js'
import { lockedBy } from './locked-by.js'
import type { Caller, Parts } from './parts.js'
import { decisionRecord, recordDecision } from './refusal.js'
import { asQuota } from './too-much-to-record.js'

const defaultTimeoutSeconds = 900

/** Nothing was minted: the answer is 202 with the approval. Where several are wanted at once it is a refusal (403). */
export class ApprovalWanted extends BrokerError {
  readonly approval: Approval
  constructor(approval: Approval) {
    super('approval_required', `${approval.record.bound.action} waits for people: ${approval.id}`, {
      members: { approval: { id: approval.id, state: approval.state } },
    })
    this.approval = approval
  }
}

/** What people are asked to agree to: what their answer binds, as it was decided, in a task below these ancestors. */
export interface ApprovalAsked {
  readonly task: Task
  readonly ancestors: readonly Task[]
  readonly bound: Bound
  readonly decided: Decided
}

/**
 * The approval of this request: a new one, or that of the same request while it is pending or approved. On disk before it is
 * told. Throws `quota` (429: too many wait, or it was denied just now), `locked`, `task_closed`, `audit_unavailable`.
 */
export async function askApproval(parts: Parts, caller: Caller, asked: ApprovalAsked): Promise<Approval> {
  const { task, decided } = asked
  const answer = await parts.ledger.askApproval(ledgerRequestOf(parts, caller, asked))
  switch (answer.outcome) {
    case 'ok':
      return await recordRequested(parts, caller, answer.approval, decided)
    case 'again':
      if (stateAt(answer.approval, parts.clock.now()) === 'approved' && !isAgreed(parts, answer.approval)) {
        // It can be neither used nor answered any more: until its time is up nobody else could agree.
        await withdraw(parts, answer.approval.id, 'approver_removed')
        return await askApproval(parts, caller, asked)
      }
      await recordDecision(parts, caller, task.id, decided, { approval: answer.approval.id })
      return answer.approval
    case 'locked':
      throw await lockedBy(parts, [answer.target])
    case 'closed':
      throw new BrokerError('task_closed', `${task.id} has ended`)
    case 'denied':
    case 'quota':
      await recordDecision(parts, caller, task.id, decided, { refused: answer.outcome })
      throw notAsked(answer.outcome, answer.retryAfterSeconds)
  }
}

function ledgerRequestOf(
  parts: Parts,
  caller: Caller,
  { task, ancestors, bound, decided }: ApprovalAsked,
): AskApproval {
  return {
    id: createId('appr', parts.clock.now()),
    record: {
      bound,
      boundSha256: boundSha256(bound),
      account: task.account,
      persons: bound.persons ?? [],
      actors: [task, ...ancestors].map(actorOf),
      purpose: plainText(task.purpose),
      escalation: decided.input.escalation,
      decision: decided.decision.id,
      request: caller.requestId,
    },
    timeoutSeconds: approvalTimeoutOf(decided),
    pendingLimit: parts.rules().limits.account.pending_approvals,
    ...denialKeys(task.account, bound),
    locks: approvalTargets(bound, [task, ...ancestors]),
  }
}

const actorOf = ({ id, principal, agent }: Task): Actor => ({
  task: id,
  principal,
  ...(agent === undefined ? {} : { agent }),
})

const notAsked = (outcome: 'denied' | 'quota', retryAfterSeconds: number) =>
  new BrokerError(
    'quota',
    outcome === 'denied'
      ? 'people denied this just now; limits.account.approval_cooldown says when it may be asked again'
      : 'limits.account.pending_approvals is reached: so many requests of this account wait for people already, or ten times as many were left unanswered within the hour',
    { retryAfterSeconds },
  )

/** How long people may take, in seconds. */
export const approvalTimeoutOf = ({ verdict }: Decided) =>
  ('offer' in verdict ? verdict.offer.approvalTimeoutSeconds : undefined) ?? defaultTimeoutSeconds

/** Nobody is asked for what the audit does not have on record. */
async function recordRequested(parts: Parts, caller: Caller, approval: Approval, decided: Decided): Promise<Approval> {
  try {
    await parts.audit.append(requestedRecord(approval, caller.requestId, decisionRecord(decided)))
  } catch (error) {
    await parts.ledger.withdrawApproval(approval.id, 'not_recorded')
    throw asQuota(error)
  }
  announce(parts, 'requested', approval)
  return approval
}
