// What stands in the audit. The writer adds `seq`, `time`, `instance` and `prev`; everything else is the caller's.
import type { Json } from '../core/canonical-json.js'

export type AuditEvent =
  | 'broker.started'
  | 'broker.stopped'
  | 'audit.healed'
  | 'task.opened'
  | 'task.ended'
  | 'delegation.created'
  | 'decision.denied'
  | 'decision.approval_required'
  | 'request.refused'
  | 'callers.refused'
  | 'lease.reserved'
  | 'lease.issued'
  | 'lease.ending'
  | 'lease.ended'
  | 'lease.revocation_failed'
  | 'lease.shown'
  | 'revocation.ordered'
  | 'operator.refused'
  | 'lock.set'
  | 'lock.removed'
  | 'lease.retry_ordered'
  | 'lease.abandon_ordered'
  | 'rules.loaded'
  | 'rules.refused'
  | 'rules.redecided'
  | 'rules.change_waits'
  | 'rules.change_applied'
  | 'lease.redecided'
  | 'ledger.rolled_back'
  | 'ledger.replayed'
  | 'ledger.recovered'
  | 'orphan.found'
  | 'policy.simulated'
  | 'approval.requested'
  | 'approval.answered'
  | 'approval.expired'
  | 'approval.used'
  | 'tool.called'

export interface AuditRecord {
  readonly event: AuditEvent
  readonly principal?: string
  readonly account?: string
  readonly task?: string
  readonly request_id?: string
  /** Who acted where it was not the principal: an operator, `worker`, `local:<user>`. */
  readonly actor?: string
  /** Any further members; canonical JSON, never a secret. */
  readonly [member: string]: Json | undefined
}

/** What a caller says of itself and nobody verified: written apart, so that it never takes the room of what we did. */
export const isClaimed = (record: { readonly event: string }): boolean => record.event === 'tool.called'

/** What the stories need of the audit; `audit-log.ts` is the real one. */
export interface AuditSink {
  /**
   * Resolves once the record is flushed to disk (fsync, shared by a group), with its sequence.
   * Throws BrokerError `audit_unavailable` within a bounded wait when it cannot be.
   */
  append(record: AuditRecord): Promise<number>
}
