// The way out as the ledger has it: a task is opened, looked at, a lease reserved in it, its mint noted and activated.
// Every method may throw BrokerError `ledger_unavailable`.
import type { LeaseRecord } from './lease.js'
import type { Step } from './replica-acks.js'
import type { Holder, Task } from './task.js'

/** What a holder holds now and was granted before, with the version that a reservation must still find. */
export interface HolderLook {
  readonly id: string
  readonly kind: 'account' | 'session'
  readonly version: string
  readonly activeLeases: number
  readonly holding: readonly string[]
  readonly holdingAccess: readonly string[]
  readonly holdingResources: readonly string[]
  readonly granted: readonly string[]
  readonly grantedAccess: readonly string[]
  readonly grantedResources: readonly string[]
  readonly grantedSensitivities: readonly string[]
  readonly grantedTtls: readonly number[]
  /** The newest lease by which a session had `c:<access>`, `s:<sensitivity>` or `t:<seconds>`. */
  readonly grantedBy?: Readonly<Record<string, string>>
  readonly recentDenials: number
  /** The lease granted last to this holder. */
  readonly lastLease: string | null
}

export interface Look {
  /** Redis's time: the ledger's clock. */
  readonly now: number
  readonly task: Task
  /** From the parent up to the root; each is judged too (I7). */
  readonly ancestors: readonly Task[]
  /** Epoch milliseconds: the nearest deadline on the chain. */
  readonly chainExpiresAt: number
  readonly chainOpen: boolean
  readonly holders: readonly HolderLook[]
  /** The lease that this idempotency key already bought, with the hash of the body it came with. */
  readonly prior: { readonly lease: string; readonly bodySha256: string } | null
}

export interface Reservation {
  readonly lease: string
  readonly record: LeaseRecord
  readonly holders: readonly Holder[]
  readonly versions: readonly string[]
  /** Counts of live leases that the decision rests on, of `task` or a holder's id: each within its bounds, which both count. */
  readonly counts?: readonly { readonly of: string; readonly min: number; readonly max: number }[] | undefined
  readonly ttlSeconds: number
  /** How long the provider's call may take; the lease is looked after that long plus a margin from now. */
  readonly providerTimeoutMs: number
  readonly idempotency: { readonly key: string; readonly bodySha256: string } | null
  readonly capacity: { readonly key: string; readonly leases: number } | null
  readonly limits: { readonly task: number; readonly account: number; readonly provider: number }
  /** Lock targets beyond those of the lease itself. */
  readonly locks: readonly string[]
  /** The approval that it uses up, with the answers that were seen. */
  readonly approval?: { readonly id: string; readonly answers: string }
}

export type ReserveAnswer =
  | { readonly outcome: 'ok'; readonly now: number; readonly expiresAt: number }
  | { readonly outcome: 'version' }
  | { readonly outcome: 'again'; readonly lease: string; readonly bodySha256: string }
  | { readonly outcome: 'locked'; readonly target: string }
  /** It is not approved (any more). */
  | { readonly outcome: 'approval'; readonly state: string }
  | { readonly outcome: 'quota'; readonly limit: string; readonly retryAfterSeconds: number }
  | { readonly outcome: 'closed' | 'no_worker' | 'rolled_back' | 'exists' }

export interface Activation {
  readonly sealedHandle: string
  readonly providerExpiresAt: number
  readonly providerRef: string
  readonly fingerprints: readonly string[]
}

export type ActivateAnswer =
  | { readonly outcome: 'ok'; readonly issuedAt: number }
  | { readonly outcome: 'state' | 'closed' | 'late' | 'locked' }

export interface OpenTask {
  readonly task: Task
  readonly ttlSeconds: number
  readonly openTasksLimit: number
  /** How often its worker shows that it lives, and within what time for the first time; absent: it need not. */
  readonly heartbeat?: { readonly everyMs: number; readonly firstMs: number } | undefined
  /** Null when the request was counted already. */
  readonly ratePerMinute: number | null
  readonly idempotency: { readonly key: string; readonly bodySha256: string } | null
}

export type OpenTaskAnswer =
  | { readonly outcome: 'ok'; readonly task: Task }
  | { readonly outcome: 'again'; readonly task: string; readonly bodySha256: string }
  | { readonly outcome: 'rate' | 'quota' | 'rolled_back'; readonly retryAfterSeconds: number }
  /** The chain above is closed, or the delegation is not there (any more). */
  | { readonly outcome: 'closed' | 'no_delegation' }
  /** The delegation has opened this task. */
  | { readonly outcome: 'opened'; readonly task: string }

export interface WayOut {
  openTask(request: OpenTask): Promise<OpenTaskAnswer>
  look(
    task: string,
    idempotencyKey: string | null,
    rate: { account: string; perMinute: number } | null,
  ): Promise<Look | 'not_found' | { rateRetryAfterSeconds: number }>
  /** Counts one request of the account; answers after how many seconds to ask again, null when it is within the limit. */
  countRequest(account: string, perMinute: number): Promise<number | null>
  lookHolders(holders: readonly Holder[]): Promise<{ now: number; holders: HolderLook[] }>
  noteDenial(holders: readonly string[]): Promise<void>
  reserve(reservation: Reservation): Promise<ReserveAnswer>
  /** `locks`: what an operator may have locked meanwhile; it is stored all the same, and the answer says why it was ended. */
  noteHandle(
    lease: string,
    sealedHandle: string,
    locks?: readonly string[],
  ): Promise<'ok' | 'state' | 'closed' | 'locked'>
  /** `locks`: what an operator may have locked meanwhile. */
  activate(lease: string, activation: Activation, locks: readonly string[]): Promise<ActivateAnswer>
  /**
   * Resolves once one of Redis's replicas knows the lease so far; at once where it has none. Those who wait together share one WAIT.
   * Throws `ledger_unavailable` when none acknowledged in time, or when the ledger that answers now lacks it.
   */
  waitReplicated(lease: string, step: Step): Promise<void>
}
