// What a decision is made of and what it says. No free text ever stands in here (I6).
import type { Json } from '../core/canonical-json.js'
import type { Binding, Principal } from '../identity/principal.js'

export type Access = 'read' | 'write' | 'deploy' | 'admin'

/** What a session or an account holds now and was granted before, whichever task it was in (I8). */
export interface Holdings {
  readonly activeLeases: number
  readonly holding: readonly string[]
  readonly holdingAccess: readonly string[]
  readonly holdingResources: readonly string[]
  readonly granted: readonly string[]
  readonly grantedAccess: readonly string[]
  readonly grantedResources: readonly string[]
}

/** A resource as the operator's configuration describes it; never from the caller. */
export interface Resource {
  /** The whole `type:id`. */
  readonly id: string
  readonly type: string
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

export interface DecisionInput {
  readonly principal: Principal
  readonly action: string
  readonly resource: Resource
  /** Already bounded by `limits.lease.ttl`. */
  readonly requestedTtlSeconds: number
  readonly declared: Readonly<Record<string, Json>>
  readonly task: { readonly ageSeconds: number; readonly depth: number; readonly activeLeases: number }
  readonly session: Holdings
  readonly account: Holdings
  readonly recentDenials: number
  readonly escalation: boolean
  readonly binding: Binding
  /** The approval that the request names, and who gave it; absent: none. */
  readonly approval?: { readonly group: string; readonly approvers: readonly string[] }
  /** Epoch milliseconds, the ledger's clock. */
  readonly now: number
}

/** One way in which a determining permit would let the request through. */
export interface Offer {
  readonly policy: string
  readonly maxTtlSeconds: number | null
  readonly approval: { readonly group: string; readonly count: number } | null
  readonly binding: 'dpop' | 'mtls' | 'any' | null
  /** How long an approval is waited for; absent: the default. */
  readonly approvalTimeoutSeconds?: number
}

/** The bounds an offer is measured against: all in seconds. */
export interface OfferBounds {
  /** min(asked, grant, task, every ancestor, limits) before any policy's own bound. */
  readonly ttlSeconds: number
  /** The provider's floor. */
  readonly minTtlSeconds: number
  readonly binding: Binding
  /** The grant's own `require`, which applies to every offer and no permit loosens. */
  readonly require: {
    readonly approval: { readonly group: string; readonly count: number } | null
    readonly binding: 'dpop' | 'mtls' | 'any' | null
    readonly maxTtlSeconds: number | null
  }
}

/**
 * What else than policies and input a decision rests on, as it was then: kept with the input, since groups and catalogue
 * may have changed when the decision is made again (I10).
 */
export interface Standing {
  /** The groups that the principal was in, sorted. */
  readonly groups: readonly string[]
  /** The action's access class; null where the catalogue had no such action on such a resource. */
  readonly access: Access | null
}

export type DenyReason = 'no_permit' | 'forbidden' | 'outside_ceiling' | 'policy_error' | 'lifetime'

export type Verdict =
  | {
      readonly effect: 'permit'
      readonly policies: readonly string[]
      readonly offer: Offer
      readonly ttlSeconds: number
    }
  | {
      readonly effect: 'approval_required'
      readonly policies: readonly string[]
      readonly offer: Offer
      readonly ttlSeconds: number
      /** All that must be met: the permit's and the grant's own. */
      readonly approvals: readonly { readonly group: string; readonly count: number }[]
    }
  | {
      readonly effect: 'deny'
      readonly code: 'denied'
      readonly reason: DenyReason
      readonly policies: readonly string[]
    }
  | { readonly effect: 'deny'; readonly code: 'binding_required'; readonly policies: readonly string[] }

/** As it stands in answers, the ledger and the audit. */
export interface Decision {
  readonly id: string
  readonly effect: 'permit' | 'deny' | 'approval_required'
  readonly policies: readonly string[]
  /** SHA-256 of the policy set that decided. */
  readonly policySet: string
}
