// A delegation as its audit record tells it.
import type { StoredRecord } from '../audit/read-records.js'
import type { Delegation, DelegationRecord } from '../ledger/delegation.js'

/** `delegation.created` → the delegation; which task it opened stands in that task's record. */
export function delegationOf(record: StoredRecord): Delegation {
  return {
    id: String(record.delegation),
    record: {
      task: String(record.task),
      chain: record.chain as unknown as DelegationRecord['chain'],
      ceiling: record.ceiling as unknown as DelegationRecord['ceiling'],
      delegate: record.delegate as unknown as DelegationRecord['delegate'],
      ...(typeof record.person === 'string' ? { person: record.person } : {}),
    },
    expiresAt: Date.parse(String(record.expires_at)),
    opened: null,
  }
}
