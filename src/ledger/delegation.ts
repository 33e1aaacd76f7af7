// A delegation: one principal hands a part of what its task may do to another, for one child task (I7).

/** An action on one resource. */
export type CeilingPair = readonly [action: string, resource: string]

/** What never changes of it. Everything is in the audit too, so that it can be written again. */
export interface DelegationRecord {
  /** The task that it opens a child of. */
  readonly task: string
  /** That task and all above it. */
  readonly chain: readonly string[]
  readonly ceiling: readonly CeilingPair[]
  /** Who may open the child: with a subject token of its own, or as the parent with the delegation's token. */
  readonly delegate:
    | { readonly issuer: string; readonly subject: string; readonly instance?: string | null }
    | { readonly agent: string }
  /** The human behind whoever handed it on, where the issuer names one; absent: not known. */
  readonly person?: string
}

export interface Delegation {
  readonly id: string
  readonly record: DelegationRecord
  /** Epoch milliseconds, the ledger's clock. */
  readonly expiresAt: number
  /** The one task that it opened; null while it has opened none. */
  readonly opened: string | null
}

/** The sub-agent that it names; null where the delegate has an identity of its own. */
export const agentOf = ({ record }: Delegation): string | null =>
  'agent' in record.delegate ? record.delegate.agent : null
