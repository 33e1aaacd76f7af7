// What the stories need of the state. `redis-ledger.ts` keeps it; docs/architecture.md says why it is so.
// Every method may throw BrokerError `ledger_unavailable`.
import type { AttributeValue } from '../identity/principal.js'
import type { Access } from '../policy/decision.js'
import type { ApprovalStore } from './approval-ledger.js'
import type { DelegationStore } from './delegations.js'
import type { EndReason, Lease, LeaseState, Receipt } from './lease.js'
import type { Lock } from './lock.js'
import type { NoticeStore } from './notices.js'
import type { RulesStore } from './rules-change.js'
import type { Task } from './task.js'
import type { TimelineStore } from './timeline.js'
import type { HolderLook, WayOut } from './way-out.js'

export interface Ending {
  readonly reason: EndReason
  readonly actor: string
  /** The bulk order it belongs to. */
  readonly revocation?: string
  /** The mint is known to be over, so nothing needs to be waited for. */
  readonly mintOver?: boolean
  readonly forced?: boolean
  /** Nobody waits: workers take them by and by, the lowest rank first, and no job is added for them. */
  readonly bulk?: number
  /** Hash of the changed rules on whose account they end: counted to them, where they are still in force. */
  readonly rules?: string
}

/** A lease that has just become due for revocation, for the queue. */
export interface DueLease {
  readonly lease: string
  readonly provider: string
  readonly attempts: number
  /** Handed out before, that long ago, and not taken by anybody since: milliseconds. */
  readonly waitingMs: number
}

/** A task to be ended, and why. */
export interface DueTask {
  readonly task: string
  readonly outcome: 'deadline' | 'abandoned'
}

/** A lease whose end is ordered, and was not before: what its record says. */
export interface OrderedLease {
  readonly id: string
  readonly principal: string
  readonly account: string
  readonly task: string
}

export type ClaimAnswer =
  | {
      readonly outcome: 'ok'
      readonly now: number
      readonly lease: Lease
      readonly wasReserved: boolean
      /** When its end was ordered, or its deadline passed. */
      readonly orderedAt: number
    }
  | { readonly outcome: 'held' | 'terminal' | 'early' }

export interface Settlement {
  readonly state: Extract<LeaseState, 'revoked' | 'expired' | 'released' | 'void' | 'abandoned' | 'failed' | 'revoking'>
  readonly receipt: Receipt
  /** When to look again; for `revoking` and `failed`. */
  readonly lookAt?: number
  /** The audit record could not be written: it is owed. */
  readonly owed?: boolean
  /** It was no attempt: the provider was not asked, or the work was handed back. */
  readonly uncounted?: boolean
}

export interface LeaseRef {
  readonly id: string
  readonly access: Access
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
  /** Verified attributes of the principal; the task's record has them, so whoever reads leases looks there. */
  readonly attributes?: Readonly<Record<string, AttributeValue>>
}

export interface Revocation {
  readonly id: string
  readonly state: 'running' | 'done'
  readonly match: LeaseMatch
  readonly reason: string
  readonly actor: string
  /** The order of a lock: a task that it names stays open, and gets nothing. */
  readonly keepsTask?: boolean
  readonly matched: number
  readonly done: number
  readonly failed: number
}

/** A lock to set, with the order that revokes what its target has. */
export interface SetLock extends Pick<Lock, 'id' | 'target' | 'reason' | 'actor'> {
  readonly expiresAt?: number
  /** From the ledger's now on. */
  readonly lastsMs?: number
  readonly order: Pick<Revocation, 'id' | 'match' | 'reason' | 'actor' | 'keepsTask'>
}

export type SetLockAnswer =
  | { readonly outcome: 'ok'; readonly lock: Lock }
  /** Its end has passed already, or there are too many. */
  | { readonly outcome: 'past' | 'full' }

/** `state`: it is no failed revocation, but this; null when it is unknown. */
export type FailedAnswer = { readonly outcome: 'ok' } | { readonly outcome: 'state'; readonly state: string | null }

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

export interface Ledger
  extends WayOut,
    DelegationStore,
    ApprovalStore,
    RulesStore<HolderLook>,
    TimelineStore,
    NoticeStore {
  // Signs of life.
  /** A sign of life of the task's worker. `beforeMs`: when the next is wanted, epoch milliseconds; null where none is. */
  beat(task: string): Promise<{ outcome: 'ok'; beforeMs: number | null } | { outcome: 'closed' | 'not_found' }>
  /** The sign that this broker takes requests, each second: without it nobody's heartbeat could arrive. */
  noteServing(): Promise<void>
  // The way back.
  endLeases(leases: readonly string[], ending: Ending): Promise<{ due: DueLease[]; ordered: OrderedLease[] }>
  /** `ended`: its end is still to be carried through, by this caller. `outcome`: the first one stands. */
  /** `unlessHeard`: only while its heartbeat is missing; `heard`: it has come meanwhile, and nothing is done. */
  endTask(
    task: string,
    outcome: string,
    unlessHeard?: boolean,
  ): Promise<{ ended: boolean; outcome: string; children: string[] } | 'not_found' | 'heard'>
  leasesOfTask(task: string): Promise<string[]>
  taskLeasesEnded(task: string): Promise<void>
  claim(lease: string, token: string): Promise<ClaimAnswer>
  renewClaim(lease: string, token: string): Promise<boolean>
  settle(lease: string, token: string, settlement: Settlement): Promise<boolean>
  // The sweep.
  takeDue(providers: readonly string[], limit: number): Promise<DueLease[]>
  /** `abandoned`: it missed its heartbeat. An ended task is handed out as `deadline` until its end is carried through. */
  takeDueTasks(limit: number): Promise<DueTask[]>
  takeDueRevocations(limit: number): Promise<string[]>
  /** Says that an order is being carried out; nobody else begins it anew for 5 s. */
  keepOrder(id: string): Promise<void>
  /** A few leases of large orders, the most privileged first. */
  takeBulk(provider: string, limit: number): Promise<string[]>
  takeOwed(limit: number): Promise<string[]>
  owedWritten(lease: string): Promise<void>
  // Reading.
  findTask(id: string): Promise<Task | null>
  /** The task that this idempotency key opened, with the hash of the body it came with; null: none. */
  findOpening(idempotencyKey: string): Promise<{ readonly task: string; readonly bodySha256: string } | null>
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
  /** The same, of which no more is told than an order needs. */
  liveRefs(match: LeaseMatch, providers: readonly string[]): AsyncIterable<LeaseRef[]>
  openTasksOf(holder: string): Promise<string[]>
  openTasks(offset: number, limit: number): Promise<string[]>
  // Operators' orders.
  createRevocation(
    revocation: Pick<Revocation, 'id' | 'match' | 'reason' | 'actor' | 'keepsTask' | 'matched'>,
  ): Promise<void>
  findRevocation(id: string): Promise<Revocation | null>
  revocationScanned(id: string): Promise<void>
  leasesOfRevocation(id: string, offset: number, limit: number): Promise<string[]>
  /** Locks the target and orders what it has to end, in one step; nothing is reserved or activated for it from here on. */
  setLock(lock: SetLock): Promise<SetLockAnswer>
  /** Null when there is none (any more). */
  removeLock(id: string): Promise<Lock | null>
  findLock(id: string): Promise<Lock | null>
  listLocks(offset: number, limit: number): Promise<Lock[]>
  /** The oldest lock on the first of these names that is under one. */
  findLockOn(names: readonly string[]): Promise<Lock | null>
  takeDueLocks(limit: number): Promise<string[]>
  retryLease(lease: string): Promise<FailedAnswer>
  abandonLease(lease: string, actor: string): Promise<FailedAnswer>
  // Once for all brokers.
  /** Whether this is the first claim; it is remembered until then (epoch milliseconds), and a little longer. */
  claimOnce(kind: 'proof' | 'token', digest: string, until: number): Promise<boolean>
  // Health.
  now(): Promise<number>
  /** `doubt`: why the ledger is not believed to be what this instance wrote to, and what to do. `full`: why it takes nothing new. */
  ready(): Promise<{
    now: number
    sweptAgoMs: number | null
    incarnation: string | null
    doubt: string | null
    full: string | null
  }>
  /** Asks Redis whether it still has what this instance wrote. Throws `rolled_back` where it is not sure, `ledger_unavailable`. */
  checkSure(): Promise<void>
  counts(providers: readonly string[]): Promise<LedgerCounts>
  /** True for one caller within the time: what need be done once, by whichever worker comes first. */
  takeTurn(name: string, forMs: number): Promise<boolean>
  /** Resolves when one of the leases was settled, or after the time; tells nothing about how. */
  waitSettled(leases: ReadonlySet<string>, timeoutMs: number): Promise<void>
  close(): Promise<void>
}
