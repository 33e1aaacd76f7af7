// Wires the webhook of approvals, where one is configured.
import { createAnnounce } from '../broker/announce-approval.js'
import { noticeTrouble } from '../broker/deliver-notices.js'
import type { Parts } from '../broker/parts.js'
import type { Settings } from '../config/schema.js'
import type { Condition } from '../http/health.js'

/** The part that is told of approvals; nobody where no webhook is configured. */
export function announceTo(
  { approvals }: Settings,
  parts: Parameters<typeof createAnnounce>[0],
): Pick<Parts, 'announce'> {
  return approvals.webhook === undefined ? {} : { announce: createAnnounce(parts) }
}

/** The webhook's line in /readyz; none where no webhook is configured. */
export function webhookCondition({ approvals }: Settings, parts: Pick<Parts, 'ledger'>): Pick<Condition, 'webhook'> {
  return approvals.webhook === undefined ? {} : { webhook: () => noticeTrouble(parts) }
}
