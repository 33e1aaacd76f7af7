// A lease: the record of one issued credential, from reservation to receipt.
import type { Binding } from '../identity/principal.js'
import type { Access } from '../policy/decision.js'
import type { Mark, RevocationClass } from '../providers/provider.js'

/** reserved → active → revoking → one of the ends; `failed` is looked at again. All ways: docs/architecture.md, "States of a lease". */
export type LeaseState =
  | 'reserved'
  | 'active'
  | 'revoking'
  | 'revoked'
  | 'expired'
  | 'released'
  | 'void'
  | 'failed'
  | 'abandoned'

const ended: readonly LeaseState[] = ['revoked', 'expired', 'released', 'void', 'abandoned']
/** Whether nobody will look after it any more. A failed one has not ended: it is looked at again. */
export const isEnded = (state: LeaseState) => ended.includes(state)

/** Reserved or active: nobody has told it to end. */
export const isCurrent = ({ state }: Pick<Lease, 'state'>): boolean => state === 'reserved' || state === 'active'

export type EndReason =
  | 'completed'
  | 'released'
  | 'expired'
  | 'deadline'
  | 'revoked'
  | 'not_activated'
  | 'mint_failed'
  | 'policy_changed'
  | 'abandoned'

export interface Receipt {
  readonly outcome: 'confirmed' | 'pending' | 'expires_at' | 'not_revocable' | 'failed'
  /** Epoch milliseconds. */
  readonly at: number
  readonly evidence: 'probe_dead' | 'gone_at_provider' | 'natural_end' | 'none'
}

/** Never changes after the reservation. Kept short: it is most of what a live lease costs in Redis. */
export interface LeaseRecord {
  readonly task: string
  /** Task ids from its own up to the root. */
  readonly chain: readonly string[]
  /** Who stands above the caller, from its parent up; only where somebody does who is not the caller itself. */
  readonly above?: readonly { readonly principal: string; readonly account: string }[]
  readonly holders: readonly string[]
  readonly principal: string
  readonly account: string
  readonly action: string
  readonly access: Access
  readonly resource: string
  readonly sensitivity?: string
  readonly provider: string
  readonly revocation: RevocationClass
  readonly sessions: 'ended' | 'may_continue'
  /** Only where nonzero. */
  readonly propagation?: number
  /** What is told to those who introspect: the audiences configured in the recipe. */
  readonly audience?: readonly string[]
  readonly mark: Mark
  /** The provider's room that the lease takes up (an AWS role's inline policies). */
  readonly capacity?: string
  /** The lifetime by which the session remembers it, seconds. */
  readonly ttl: number
  readonly policies: readonly string[]
  readonly decision: string
  readonly request: string
  /** Of an escalation: the session's lease that it goes beyond. */
  readonly follows?: string
  /** Only where not empty: what the caller declared, for the lease to be decided again. */
  readonly declared?: Readonly<Record<string, string | number | boolean>>
  /** Only where not `none`. */
  readonly binding?: Binding
  /** Only where people approved it: what they approved, by whose permit, and who they were. */
  readonly approval?: {
    readonly policy: string
    readonly requirements: readonly { readonly group: string; readonly count: number }[]
    readonly given: { readonly group: string; readonly approvers: readonly string[] }
  }
}

export interface Lease {
  readonly id: string
  readonly record: LeaseRecord
  readonly state: LeaseState
  /** Epoch milliseconds, as all times here. */
  readonly expiresAt: number
  readonly issuedAt: number | null
  readonly providerExpiresAt: number | null
  readonly providerRef: string | null
  readonly fingerprints: readonly string[]
  readonly sealedHandle: string | null
  readonly endReason: EndReason | null
  readonly endActor: string | null
  readonly endedAt: number | null
  readonly receipt: Receipt | null
  readonly attempts: number
  /** An operator's order: providers that keep early ends for such use them now. */
  readonly forced: boolean
  /** Its ledger was lost while it was minted, and with it whatever had been noted of it by then. */
  readonly notesLost?: boolean
}

/** The caller and everybody above it. */
export const actorsOf = ({ principal, account, above = [] }: Pick<LeaseRecord, 'principal' | 'account' | 'above'>) => [
  { principal, account },
  ...above,
]

/** Issuer names hold no colon, so the first one ends them. */
export const issuerOf = (principal: string) => principal.slice(0, principal.indexOf(':'))
