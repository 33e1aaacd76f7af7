// What the audit says of a lease, at each step of its life (docs/audit.md). Without the first record nothing is minted (I2).
import type { Json } from '../core/canonical-json.js'
import { toTimestamp } from '../core/clock.js'
import { sha256Hex } from '../core/hash.js'
import type { Lease, Receipt } from '../ledger/lease.js'
import type { Ending, OrderedLease } from '../ledger/ledger.js'
import type { Issued } from '../providers/provider.js'
import { announce, usedRecord } from './approval-records.js'
import { endLeases } from './end-leases.js'
import type { Caller, Parts } from './parts.js'
import { decisionRecord } from './refusal.js'
import type { Reserved } from './reserve.js'
import { asQuota } from './too-much-to-record.js'

const whose = (caller: Caller, task: string) => ({
  principal: caller.principal.id,
  account: caller.principal.account,
  task,
  request_id: caller.requestId,
})

/**
 * On disk before the provider is called, and the reservation at a replica where there is one (I2). When either cannot be had the
 * lease is ended and `audit_unavailable` or `ledger_unavailable` thrown, or `quota` where the record is too long.
 */
export async function recordReserved(parts: Parts, caller: Caller, reserved: Reserved): Promise<void> {
  const { toIssue, record, recipe, decided, approval } = reserved
  try {
    const used = approval && usedRecord(approval, toIssue.id, caller.requestId)
    const reservedRecord = {
      event: 'lease.reserved' as const,
      ...whose(caller, toIssue.taskId),
      lease: toIssue.id,
      token_sha256: caller.principal.tokenSha256,
      instance_of: caller.principal.instance,
      record: record as unknown as Json,
      recipe,
      deadline: toTimestamp(toIssue.deadline),
      reserved_at: toTimestamp(reserved.now),
      ...(reserved.idempotency ? { idempotency: { ...reserved.idempotency } } : {}),
      ...(approval ? { approval: approval.id } : {}),
      rules: reserved.rulesHash,
      decision: decisionRecord(decided),
    }
    // One flush for both. That an approval is used stands in either, so that neither alone lets it be used again.
    const appended = [reservedRecord, ...(used ? [used] : [])].map((one) => parts.audit.append(one))
    await Promise.all([...appended, parts.ledger.waitReplicated(toIssue.id, 'reserved')])
    if (approval) announce(parts, 'used', { ...approval, state: 'used', endReason: 'minted', lease: toIssue.id })
  } catch (error) {
    reserved.pass.withdrawn()
    await endLeases(parts, [toIssue.id], { reason: 'mint_failed', actor: 'broker', mintOver: true })
    throw asQuota(error)
  }
}

/** Beside the activation; holds the sealed handle, so that the audit alone is enough to revoke (recovery). */
export async function recordIssued(
  parts: Parts,
  caller: Caller,
  reserved: Reserved,
  issued: Issued,
  { sealedHandle, secretDigests }: { sealedHandle: string; secretDigests: readonly string[] },
): Promise<void> {
  const { toIssue, record } = reserved
  await parts.audit.append({
    event: 'lease.issued',
    ...whose(caller, toIssue.taskId),
    lease: toIssue.id,
    provider: record.provider,
    deadline: toTimestamp(toIssue.deadline),
    provider_expires_at: toTimestamp(issued.providerExpiresAt),
    provider_ref: issued.providerRef,
    sealed_handle: sealedHandle,
    fingerprints: issued.fingerprintOf.map(sha256Hex),
    ...(secretDigests.length > 0 ? { secret_digests: secretDigests } : {}),
  })
}

/** Says who ordered an end. When the audit is down the end goes on all the same (I4); the end's own record is owed then. */
export async function recordEnding(
  parts: Parts,
  leases: readonly OrderedLease[],
  ending: Ending,
  requestId: string | null,
): Promise<void> {
  await Promise.all(
    leases.map((lease) =>
      parts.audit.append({
        event: 'lease.ending',
        principal: lease.principal,
        account: lease.account,
        task: lease.task,
        lease: lease.id,
        reason: ending.reason,
        actor: ending.actor,
        ...(requestId === null ? {} : { request_id: requestId }),
      }),
    ),
  ).catch((error: unknown) => parts.log.error({ err: error }, 'the order to end leases could not be recorded'))
}

/**
 * How the attempts to end a lease came out. A failure is no end: its event is another, since readers take the first
 * `lease.ended` and a second one is legal. Returns whether the record is owed because the audit is down.
 */
export async function recordEnded(
  parts: Parts,
  lease: Lease,
  state: string,
  receipt: Receipt,
  owed = false,
): Promise<boolean> {
  try {
    await parts.audit.append({
      event: state === 'failed' ? 'lease.revocation_failed' : 'lease.ended',
      principal: lease.record.principal,
      account: lease.record.account,
      task: lease.record.task,
      lease: lease.id,
      provider: lease.record.provider,
      state,
      end_reason: lease.endReason,
      actor: lease.endActor ?? 'worker',
      receipt: { ...receipt, at: toTimestamp(receipt.at) },
      attempts: lease.attempts,
      ...(owed ? { owed: true } : {}),
    })
    return false
  } catch (error) {
    parts.log.error({ err: error, lease: lease.id }, 'the end of a lease could not be recorded: it is owed')
    return true
  }
}
