// Approvals as their audit records tell them: what was asked, who answered, and whether one was used, after which it never can be
// again. One instance may have asked, another have taken the answers, a third have minted.
import type { StoredRecord } from '../audit/read-records.js'
import type { ApprovalRecord, ApprovalState, ApprovalVote } from '../ledger/approval.js'
import type { LostApproval } from '../ledger/restoration.js'
import { denialKeys } from './approval-bound.js'

/** Where only the use is on record: longer than any approval is kept. */
const longestMs = 2 * 86_400_000

type DenialKeys = ReturnType<typeof denialKeys>

interface Known {
  asked: Pick<LostApproval, 'record' | 'requestedAt' | 'recentRequests' | 'deniedBefore'> | null
  expiresAt: number
  /** With what the approval was by each. */
  readonly answers: { vote: ApprovalVote; state: string; cooldownMs: number; keys: DenialKeys | null }[]
  endedAs: 'expired' | null
  endReason: string | null
  lease: string | null
}

export class ApprovalProjection {
  readonly #known = new Map<string, Known>()

  /** Any record that names an approval; others than these say nothing of its state. */
  apply(record: StoredRecord): void {
    if (typeof record.approval !== 'string') return
    switch (record.event) {
      case 'approval.requested':
        this.#of(record).asked = {
          record: record.record as unknown as ApprovalRecord,
          requestedAt: Date.parse(String(record.requested_at)),
          recentRequests: Number(record.recent_requests ?? 1),
          deniedBefore: record.denied_before === true,
        }
        break
      case 'approval.answered':
        this.#applyAnswer(record)
        break
      case 'approval.expired': {
        const known = this.#of(record)
        known.endedAs = 'expired'
        known.endReason = String(record.reason)
        break
      }
      case 'approval.used':
      case 'lease.reserved':
        this.#of(record).lease = String(record.lease)
    }
  }

  /** `endedTasks`: nobody's answer matters in those. */
  *approvals(endedTasks: ReadonlyMap<string, string>): Generator<LostApproval> {
    for (const [id, known] of this.#known) {
      const state = stateOf(known)
      const isOpen = state === 'pending' || state === 'approved'
      const task = known.asked?.record?.bound.task
      const isOver = isOpen && task !== undefined && endedTasks.has(task)
      yield {
        id,
        record: known.asked?.record ?? null,
        requestedAt: known.asked?.requestedAt ?? 0,
        recentRequests: known.asked?.recentRequests ?? 1,
        deniedBefore: known.asked?.deniedBefore ?? false,
        expiresAt: known.expiresAt,
        state: isOver ? 'expired' : state,
        endReason: isOver ? 'task_ended' : reasonOf(state, known),
        lease: known.lease,
        votes: known.answers.map(({ vote }) => vote),
        denial: denialIn(known),
      }
    }
  }

  #of(record: StoredRecord): Known {
    const id = String(record.approval)
    const known = this.#known.get(id) ?? {
      asked: null,
      expiresAt: Date.parse(record.time) + longestMs,
      answers: [],
      endedAs: null,
      endReason: null,
      lease: null,
    }
    if (record.event !== 'lease.reserved') known.expiresAt = Date.parse(String(record.expires_at))
    this.#known.set(id, known)
    return known
  }

  /** An answer is written before it counts; where it did not count after all, a second record of the same vote says so. */
  #applyAnswer(record: StoredRecord): void {
    const { answers } = this.#of(record)
    const vote = record.voter as unknown as ApprovalVote
    const same = answers.findIndex((one) => one.vote.by === vote.by && one.vote.at === vote.at)
    if (same >= 0) answers.splice(same, 1)
    const cooldownMs = typeof record.cooldown_seconds === 'number' ? record.cooldown_seconds * 1000 : 0
    if (record.void !== true) answers.push({ vote, state: String(record.state), cooldownMs, keys: keysOf(record) })
  }
}

function keysOf({ cooldown_key, flag_key }: StoredRecord): DenialKeys | null {
  if (typeof cooldown_key !== 'string' || typeof flag_key !== 'string') return null
  return { cooldownKey: cooldown_key, flagKey: flag_key }
}

function denialIn({ answers, asked }: Known): LostApproval['denial'] {
  const denied = answers.find(({ state }) => state === 'denied')
  if (denied === undefined) return null
  const keys = denied.keys ?? (asked?.record ? denialKeys(asked.record.account, asked.record.bound) : null)
  return keys && { at: denied.vote.at, cooldownMs: denied.cooldownMs, ...keys }
}

function stateOf({ lease, answers, endedAs }: Known): ApprovalState {
  if (lease !== null) return 'used'
  if (answers.some(({ state }) => state === 'denied')) return 'denied'
  if (endedAs !== null) return endedAs
  return answers.some(({ state }) => state === 'approved') ? 'approved' : 'pending'
}

function reasonOf(state: ApprovalState, { endReason }: Known): string | null {
  if (state === 'used') return 'minted'
  return state === 'denied' ? 'voted' : state === 'expired' ? endReason : null
}
