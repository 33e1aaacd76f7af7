// What the stories need of the state. `redis-ledger.ts` keeps it; ledger.md beside the design says why it is so.
// Every method may throw BrokerError `ledger_unavailable`.
import type { EndReason, Lease, LeaseRecord, LeaseState, Receipt } from './lease.js'
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
  readonly recentDenials: number
  /** The lease granted last to this holder. */
  readonly lastLease: string | null
}

export interface Look {
  /** Redis's time: the ledger's clock. */
  readonly now: number
  readonly task: Task
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
  readonly ttlSeconds: number
  /** How long the provider's call may take; the lease is looked after that long plus a margin from now. */
  readonly providerTimeoutMs: number
  readonly idempotency: { readonly key: string; readonly bodySha256: string } | null
  readonly capacity: { readonly key: string; readonly leases: number } | null
  readonly limits: { readonly task: number; readonly account: number; readonly provider: number }
  /** Lock targets beyond those of the lease itself. */
  readonly locks: readonly string[]
}

export type ReserveAnswer =
  | { readonly outcome: 'ok'; readonly now: number; readonly expiresAt: number }
  | { readonly outcome: 'version' }
  | { readonly outcome: 'again'; readonly lease: string; readonly bodySha256: string }
  | { readonly outcome: 'locked'; readonly target: string }
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
  /** Null when the request was counted already. */
  readonly ratePerMinute: number | null
  readonly idempotency: { readonly key: string; readonly bodySha256: string } | null
}

export type OpenTaskAnswer =
  | { readonly outcome: 'ok'; readonly task: Task }
  | { readonly outcome: 'again'; readonly task: string; readonly bodySha256: string }
  | { readonly outcome: 'rate' | 'quota' | 'rolled_back'; readonly retryAfterSeconds: number }

export interface Ending {
  readonly reason: EndReason
  readonly actor: string
  /** The bulk order it belongs to. */
  readonly revocation?: string
  /** The mint is known to be over, so nothing needs to be waited for. */
  readonly mintOver?: boolean
  readonly forced?: boolean
}

/** A lease that has just become due for revocation, for the queue. */
export interface DueLease {
  readonly lease: string
  readonly provider: string
  readonly attempts: number
  /** Handed out before, that long ago, and not taken by anybody since: milliseconds. */
  readonly waitingMs: number
}

export type ClaimAnswer =
  | { readonly outcome: 'ok'; readonly now: number; readonly lease: Lease; readonly wasReserved: boolean }
  | { readonly outcome: 'held' | 'terminal' | 'early' }

export interface Settlement {
  readonly state: Extract<LeaseState, 'revoked' | 'expired' | 'released' | 'void' | 'abandoned' | 'failed' | 'revoking'>
  readonly receipt: Receipt
  /** When to look again; for `revoking` and `failed`. */
  readonly lookAt?: number
  /** The audit record could not be written: it is owed. */
  readonly owed?: boolean
}

export interface LeaseMatch {
  readonly lease?: string
  readonly task?: string
  readonly principal?: string
  readonly account?: string
  readonly session?: string
  readonly issuer?: string
  readonly action?: string
  readonly resource?: string
  readonly provider?: string
  readonly policy?: string
  readonly state?: string
  readonly fingerprint?: string
  readonly issuedAfter?: number
  readonly issuedBefore?: number
}

export interface Revocation {
  readonly id: string
  readonly state: 'running' | 'done'
  readonly match: LeaseMatch
  readonly reason: string
  readonly actor: string
  readonly matched: number
  readonly done: number
  readonly failed: number
}

/** What operators watch, by provider; from counters, so it costs the same however many leases there are. */
export interface LedgerCounts {
  readonly providers: readonly {
    readonly provider: string
    /** Leases whose credential is not proven dead, by state. */
    readonly states: Readonly<Record<string, number>>
    /** For how long the latest one should have been dead; 0 when none is late. */
    readonly oldestOverdueMs: number
  }[]
  /** Ends whose audit record is still to be written. */
  readonly owed: number
}

export interface Ledger {
  // The way out.
  openTask(request: OpenTask): Promise<OpenTaskAnswer>
  findTask(id: string): Promise<Task | null>
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
  noteHandle(lease: string, sealedHandle: string): Promise<'ok' | 'state'>
  /** `locks`: what an operator may have locked meanwhile. */
  activate(lease: string, activation: Activation, locks: readonly string[]): Promise<ActivateAnswer>
  // The way back.
  endLeases(leases: readonly string[], ending: Ending): Promise<DueLease[]>
  /** `ended`: its end is still to be carried through, by this caller. `outcome`: the first one stands. */
  endTask(task: string, outcome: string): Promise<{ ended: boolean; outcome: string; children: string[] } | 'not_found'>
  leasesOfTask(task: string): Promise<string[]>
  taskLeasesEnded(task: string): Promise<void>
  claim(lease: string, token: string): Promise<ClaimAnswer>
  renewClaim(lease: string, token: string): Promise<boolean>
  settle(lease: string, token: string, settlement: Settlement): Promise<boolean>
  // The sweep.
  takeDue(providers: readonly string[], limit: number): Promise<DueLease[]>
  takeDueTasks(limit: number): Promise<string[]>
  takeDueRevocations(limit: number): Promise<string[]>
  takeOwed(limit: number): Promise<string[]>
  owedWritten(lease: string): Promise<void>
  // Reading.
  findLease(id: string): Promise<Lease | null>
  findLeases(ids: readonly string[]): Promise<Lease[]>
  isLive(lease: string): Promise<boolean>
  scanLeases(
    match: LeaseMatch,
    providers: readonly string[],
    cursor: string | null,
    limit: number,
  ): Promise<{ leases: Lease[]; cursor: string | null }>
  /** Every lease that may be alive and matches, in pages; one that is live throughout is never passed over, and may come twice. */
  liveLeases(match: LeaseMatch, providers: readonly string[]): AsyncIterable<Lease[]>
  openTasksOf(holder: string): Promise<string[]>
  openTasks(offset: number, limit: number): Promise<string[]>
  // Operators' orders.
  createRevocation(revocation: Pick<Revocation, 'id' | 'match' | 'reason' | 'actor' | 'matched'>): Promise<void>
  findRevocation(id: string): Promise<Revocation | null>
  revocationScanned(id: string): Promise<void>
  leasesOfRevocation(id: string, offset: number, limit: number): Promise<string[]>
  // Health.
  now(): Promise<number>
  ready(): Promise<{ now: number; sweptAgoMs: number | null; incarnation: string | null }>
  counts(providers: readonly string[]): Promise<LedgerCounts>
  /** True for one caller within the time: what need be done once, by whichever worker comes first. */
  takeTurn(name: string, forMs: number): Promise<boolean>
  /** Resolves when one of the leases was settled, or after the time; tells nothing about how. */
  waitSettled(leases: ReadonlySet<string>, timeoutMs: number): Promise<void>
  close(): Promise<void>
}
