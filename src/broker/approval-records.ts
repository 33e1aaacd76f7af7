// What the audit says of an approval: enough to write it again into a ledger that lost it. And who else is told.
import type { Json } from '../core/canonical-json.js'
import { toTimestamp } from '../core/clock.js'
import type { Approval, ApprovalNews, ApprovalVote } from '../ledger/approval.js'
import { denialKeys } from './approval-bound.js'
import type { Parts } from './parts.js'

const whose = ({ id, record, expiresAt }: Approval) => ({
  approval: id,
  principal: record.bound.principal,
  account: record.account,
  task: record.bound.task,
  expires_at: toTimestamp(expiresAt),
})

/** All that was asked, with the decision that asked for it. */
export const requestedRecord = (approval: Approval, requestId: string, decision: Json) => ({
  event: 'approval.requested' as const,
  ...whose(approval),
  request_id: requestId,
  record: approval.record as unknown as Json,
  requested_at: toTimestamp(approval.requestedAt),
  recent_requests: approval.recentRequests,
  denied_before: approval.deniedBefore,
  decision,
})

interface Answered {
  /** What the approval is with this answer. */
  readonly state: string
  /** It did not count after all, since the approval was over by then. */
  readonly isVoid?: boolean
  /** Of a denial: how long the same is not asked again. */
  readonly cooldownSeconds?: number
}

/** One answer. */
export const answeredRecord = (
  approval: Approval,
  vote: ApprovalVote,
  requestId: string,
  { state, isVoid = false, cooldownSeconds }: Answered,
) => ({
  event: 'approval.answered' as const,
  ...whose(approval),
  request_id: requestId,
  actor: vote.by,
  vote: vote.vote,
  reason: vote.reason,
  voter: vote as unknown as Json,
  state,
  ...(isVoid ? { void: true } : {}),
  ...(cooldownSeconds === undefined ? {} : { cooldown_seconds: cooldownSeconds, ...deniedAs(approval) }),
})

/** Whoever took the answer replays it by itself, without what another instance has on record of the question. */
function deniedAs({ record }: Approval) {
  const { cooldownKey, flagKey } = denialKeys(record.account, record.bound)
  return { cooldown_key: cooldownKey, flag_key: flagKey }
}

/** It was used up by a reservation: after this it never buys anything again. */
export const usedRecord = (approval: Approval, lease: string, requestId: string) => ({
  event: 'approval.used' as const,
  ...whose(approval),
  request_id: requestId,
  lease,
  approvers: approval.votes.flatMap(({ by, vote }) => (vote === 'approve' ? [by] : [])),
})

/** It ended unanswered or unused; `endReason` says why. */
export const expiredRecord = (approval: Approval, actor: 'sweeper' | 'broker' = 'sweeper') => ({
  event: 'approval.expired' as const,
  ...whose(approval),
  actor,
  reason: approval.endReason ?? 'time',
})

/** Tells whoever wants to know, after the record is on disk; best effort, it holds nobody up and fails nobody. */
export function announce(parts: Parts, news: ApprovalNews, approval: Approval): void {
  try {
    parts.announce?.(news, approval)
  } catch (error) {
    parts.log.warn({ err: error, approval: approval.id }, 'the news of an approval could not be told')
  }
}
