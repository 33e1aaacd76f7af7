// Approvals whose time is up or whose task ended: nobody's answer counts from that moment on; here it is written down.
import { announce, expiredRecord } from './approval-records.js'
import type { Parts } from './parts.js'

/** One page. What cannot be written stays due for the next sweep. */
export async function expireApprovals(parts: Parts): Promise<void> {
  for (const id of await parts.ledger.takeDueApprovals(100)) {
    if ((await parts.ledger.expireApproval(id)) !== 'expired') continue
    const approval = await parts.ledger.findApproval(id)
    if (approval === null) continue
    try {
      await parts.audit.append(expiredRecord(approval))
    } catch (error) {
      parts.log.warn({ err: error, approval: id }, 'the end of an approval waits to be recorded')
      return
    }
    await parts.ledger.approvalExpiryWritten(id)
    announce(parts, 'expired', approval)
  }
}

/** Ends one before its time, of what is still pending or approved. Throws `audit_unavailable`; it is over all the same. */
export async function withdraw(parts: Parts, id: string, why: string): Promise<void> {
  await parts.ledger.withdrawApproval(id, why)
  const approval = await parts.ledger.findApproval(id)
  if (approval?.state !== 'expired') return
  await parts.audit.append(expiredRecord(approval, 'broker'))
  await parts.ledger.approvalExpiryWritten(id)
  announce(parts, 'expired', approval)
}
