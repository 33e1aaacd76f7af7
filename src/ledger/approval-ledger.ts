// What the stories need of approvals' state. `approval-store.ts` keeps it.
import type { Approval, ApprovalRecord, ApprovalState, ApprovalVote } from './approval.js'

export interface AskApproval {
  readonly id: string
  readonly record: ApprovalRecord
  readonly timeoutSeconds: number
  /** How many may wait for an answer per account. */
  readonly pendingLimit: number
  /** Digests: what a denial keeps from being asked again for a while, and what it flags for a day; three keep that back, too. */
  readonly cooldownKey: string
  readonly flagKey: string
  /** Names that an operator may have locked. */
  readonly locks: readonly string[]
}

export type AskAnswer =
  /** `again`: the same request has one that is pending or approved. */
  | { readonly outcome: 'ok' | 'again'; readonly approval: Approval }
  | { readonly outcome: 'denied' | 'quota'; readonly retryAfterSeconds: number }
  | { readonly outcome: 'locked'; readonly target: string }
  | { readonly outcome: 'closed' }

export interface AnswerApproval {
  readonly id: string
  /** The answers that this one has seen. */
  readonly answers: string
  readonly person: string
  readonly vote: ApprovalVote
  /** What it is with this vote. */
  readonly state: 'pending' | 'approved' | 'denied'
  readonly locks: readonly string[]
  readonly cooldownKey: string
  readonly cooldownMs: number
  readonly flagKey: string
}

export type AnswerAnswer =
  | { readonly outcome: 'ok' | 'again' | 'version' | 'not_found' }
  | { readonly outcome: 'late'; readonly state: ApprovalState }
  | { readonly outcome: 'locked'; readonly target: string }

export interface ApprovalStore {
  askApproval(ask: AskApproval): Promise<AskAnswer>
  findApproval(id: string): Promise<Approval | null>
  answerApproval(answer: AnswerApproval): Promise<AnswerAnswer>
  /** Ends one that nobody is to answer or use any more; `why` is its end reason. */
  withdrawApproval(id: string, why: string): Promise<void>
  /** Those whose time is up or whose task ended, each at most every 2 s until its end is written down. */
  takeDueApprovals(limit: number): Promise<string[]>
  /** `expired`: its end is to be written down, then `approvalExpiryWritten`. `over`: there is nothing to say. */
  expireApproval(id: string): Promise<'expired' | 'over' | 'early'>
  approvalExpiryWritten(id: string): Promise<void>
  /** The newest first, of the last two days; of one account or of all. `before`: where the last page ended. */
  listApprovals(
    account: string | null,
    before: { at: number; id: string } | null,
    limit: number,
  ): Promise<readonly Approval[]>
}
