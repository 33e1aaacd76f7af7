// Approvals → notices for the webhook: what people should hear of, once each.
import type { Approval as WireApproval } from '../api/approvals.js'
import { toTimestamp } from '../core/clock.js'
import { type Approval, type ApprovalNews, stateAt } from '../ledger/approval.js'
import { approvalView } from './approval-view.js'
import type { Parts } from './parts.js'

/** What is sent. `delivery_id` is the same for every try. */
export interface ApprovalNotice {
  readonly event: 'approval.requested' | 'approval.approved' | 'approval.denied' | 'approval.expired'
  readonly delivery_id: string
  readonly at: string
  readonly approval: WireApproval
}

type AnnounceParts = Pick<Parts, 'ledger' | 'issuer' | 'clock' | 'log' | 'metrics'>

/** For `Parts.announce`: writes the notice into the ledger and does not wait for it. */
export function createAnnounce(parts: AnnounceParts): (news: ApprovalNews, approval: Approval) => void {
  return (news, approval) => {
    const event = eventOf(approval, parts.clock.now())
    // A vote that decides nothing yet, and the use of what was approved, are no news to those who are asked.
    const isNews = news === 'requested' || news === 'expired' || (news === 'answered' && event !== 'approval.requested')
    if (isNews) void addNotice(parts, event, approval)
  }
}

const missedWithinMs = 3_600_000
const missedAtOnce = 200

/**
 * Announces again where each approval stands whose time is not long over: a broker may have died between the approval and its
 * notice. What was announced before stays announced once.
 */
export async function announceMissed(parts: AnnounceParts): Promise<void> {
  const now = parts.clock.now()
  for (const approval of await parts.ledger.listApprovals(null, null, missedAtOnce)) {
    if (now - approval.expiresAt < missedWithinMs) await addNotice(parts, eventOf(approval, now), approval)
  }
}

function eventOf(approval: Approval, now: number): ApprovalNotice['event'] {
  const state = stateAt(approval, now)
  if (state === 'pending') return 'approval.requested'
  return state === 'used' ? 'approval.approved' : `approval.${state}`
}

async function addNotice(parts: AnnounceParts, event: ApprovalNotice['event'], approval: Approval): Promise<void> {
  const { ledger, issuer, clock, log, metrics } = parts
  const id = `${event}.${approval.id}`
  const now = clock.now()
  const notice: ApprovalNotice = {
    event,
    delivery_id: id,
    at: toTimestamp(now),
    approval: approvalView(approval, issuer, now),
  }
  try {
    if ((await ledger.addNotice({ id, body: JSON.stringify(notice) })) !== 'full') return
    log.warn({ notice: id }, 'too many notices wait for the webhook; this one is not sent')
  } catch (error) {
    log.warn({ err: error, notice: id }, 'a notice could not be kept')
  }
  metrics.notices.inc({ outcome: 'lost' })
}
