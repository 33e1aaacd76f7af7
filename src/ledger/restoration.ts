// Writing again what a ledger lost, from audit records. Everything here may be repeated and leaves alone what is there.
import { type Approval, type ApprovalRecord, personKey } from './approval.js'
import type { AnswerApproval } from './approval-ledger.js'
import type { Connection } from './connection.js'
import type { Delegation } from './delegation.js'
import { holderId, ledgerTag } from './keys.js'
import { type EndReason, isEnded, type LeaseRecord, type LeaseState, type Receipt } from './lease.js'
import type { Revocation } from './ledger.js'
import { type Lock, lockName } from './lock.js'
import type { TaskRecord } from './replies.js'
import { createScripts } from './scripts.js'
import { storeActivation, storeRecord } from './stored-lease.js'
import { orUnavailable } from './unavailable.js'

type Bought = { readonly key: string; readonly bodySha256: string }

/** How it ended, or how its revocation failed (`failed`). */
export interface LostEnd {
  readonly state: LeaseState
  readonly reason: EndReason
  readonly actor: string
  readonly receipt: Receipt
  readonly attempts: number
  readonly at: number
}

/** Who ordered a lease's end, and why. */
interface LostOrder {
  readonly reason: EndReason
  readonly actor: string
}

/** A lease as its audit records tell it. Times are epoch milliseconds. */
export interface LostLease {
  readonly id: string
  readonly record: LeaseRecord
  readonly reservedAt: number
  readonly expiresAt: number
  readonly idempotency: Bought | null
  /** Hash of the rules that permitted it last; null where no record tells. By others it is to be judged again. */
  readonly judgedBy: string | null
  /** Null when no record says that it was ever minted. */
  readonly issued: {
    readonly at: number
    readonly sealedHandle: string
    readonly providerExpiresAt: number
    readonly providerRef: string
    readonly fingerprints: readonly string[]
    /** By which its secrets are known again in reported events. */
    readonly secretDigests?: readonly string[]
  } | null
  /** Null while nobody has seen it end or fail to. */
  readonly end: LostEnd | null
}

export interface LostTask {
  readonly id: string
  readonly record: TaskRecord
  readonly openedAt: number
  readonly expiresAt: number
  /** Null while it is open. */
  readonly outcome: string | null
  readonly idempotency: Bought | null
  /** How often its worker shows that it lives; null where it need not. */
  readonly heartbeatSeconds: number | null
  /** How many events it reported. */
  readonly events?: number
}

/** An approval as its audit records tell it, or as much of it as one instance's records do. */
export interface LostApproval extends Omit<Approval, 'record' | 'answers'> {
  /** Null where another instance has what was asked. */
  readonly record: ApprovalRecord | null
  /** When it was denied, and what that keeps from being asked again; null: it was not, or another instance has what was asked. */
  readonly denial: (Pick<AnswerApproval, 'cooldownKey' | 'cooldownMs' | 'flagKey'> & { readonly at: number }) | null
}

/** `match` reaches nothing that was issued after the order was given. */
type LostManyOrder = Pick<Revocation, 'id' | 'match' | 'reason' | 'actor' | 'keepsTask'>

export interface Restoration {
  restoreTask(task: LostTask): Promise<boolean>
  /** An order: it is restored, and another instance's replay said that its end was ordered. */
  restoreLease(lease: LostLease): Promise<'restored' | 'exists' | 'ended' | LostOrder>
  /** `live`: the ledger still has it as alive, so it is to be ended again. `order`: it has not ended, its end was ordered. */
  restoreEnd(lease: string, order?: LostOrder): Promise<'live' | 'over'>
  /** Notes the end of a task that is not there, so that another instance's replay does not open it again. */
  noteTaskEnded(task: string, outcome: string): Promise<void>
  /** What was granted with a lease that is over, remembered for `keepMs`. */
  restoreGranted(lease: LostLease, keepMs: number): Promise<void>
  /** False when it stands already or its time is up; that it has opened a task is noted in any case. */
  restoreDelegation(delegation: Delegation): Promise<boolean>
  /** False when it stands already, was removed, or its time is up. */
  restoreLock(lock: Lock): Promise<boolean>
  /**
   * An order over many leases. `again`: leases came back, so that one which was carried out already, over a ledger that lacked
   * them, is due once more, bounded as given here.
   */
  restoreOrder(order: LostManyOrder, again: boolean): Promise<void>
  /** True when it told the ledger anything. One that is further on there stays as it is. */
  restoreApproval(approval: LostApproval): Promise<boolean>
  /** Denials of an account by minute since the epoch; those of the last ten minutes count. */
  restoreDenials(account: string, minutes: readonly (readonly [number, number])[]): Promise<void>
  /** Notes that a lock was removed, so that another instance's replay does not set it again. */
  noteUnlocked(lock: string): Promise<void>
  /** No broker issues until an operator resumes it. `why` is told to whoever asks. */
  pause(why: string): Promise<void>
  resume(): Promise<void>
  /** Null when it is not paused. */
  whyPaused(): Promise<string | null>
  incarnation(): Promise<string | null>
  /** How far a chain's records are in the ledger; 0 where it does not know. */
  reflected(chain: string): Promise<number>
  noteReflected(chain: string, sequence: number): Promise<void>
  /** The ledger that was rebuilt in the place of this one; null when none was. */
  successorOf(incarnation: string): Promise<string | null>
  /**
   * The last step: the ledger is named, and everybody who wrote to one of `known` is told how far its records are in it.
   */
  name(incarnation: string, known: readonly string[], walOf: ReadonlyMap<string, number>): Promise<void>
}

/** Long enough for every instance to have replayed. */
const unlockedKeptMs = 2 * 86_400_000
const successorKeptMs = 90 * 86_400_000

/** `redis` fails fast; `prefix` is the ledger's. */
export function createRestoration(redis: Connection, prefix: string): Restoration {
  const tag = ledgerTag(prefix)
  const run = createScripts(redis, tag)
  const bought = (idempotency: Bought | null) =>
    idempotency === null ? {} : { idem: idempotency.key, body: idempotency.bodySha256 }
  return {
    async restoreTask({ id, record, openedAt, expiresAt, outcome, idempotency, heartbeatSeconds, events }) {
      const account = record.holders.find(([, kind]) => kind === 'account')?.[0]
      const args = {
        task: id,
        parent: record.parent ?? undefined,
        account,
        opened: openedAt,
        expires: expiresAt,
        outcome: outcome ?? undefined,
        beatMs: heartbeatSeconds === null ? undefined : heartbeatSeconds * 1000,
        events,
        ...bought(idempotency),
      }
      return (await orUnavailable(run('restore-task', JSON.stringify(args), JSON.stringify(record)))) === 1
    },
    async restoreLease(lease) {
      const { issued, end } = lease
      const minted =
        issued === null
          ? {}
          : { issued: issued.at, handle: issued.sealedHandle, out: storeActivation(lease.id, issued) }
      const args = {
        lease: lease.id,
        expires: lease.expiresAt,
        reserved: lease.reservedAt,
        rules: lease.judgedBy ?? '',
        ...minted,
        ...(end === null ? {} : { end: { ...end, receipt: JSON.stringify(end.receipt), over: isEnded(end.state) } }),
        ...bought(lease.idempotency),
      }
      const answer = await orUnavailable(run('restore-lease', JSON.stringify(args), storeRecord(lease.record)))
      const digests = issued?.secretDigests ?? []
      if (digests.length > 0) await orUnavailable(run('note-secrets', lease.record.task, JSON.stringify(digests)))
      return Array.isArray(answer)
        ? (JSON.parse(String(answer[1])) as LostOrder)
        : (answer as 'restored' | 'exists' | 'ended')
    },
    async restoreEnd(lease, order) {
      const said = order === undefined ? '' : JSON.stringify(order)
      return (await orUnavailable(run('restore-end', lease, said))) as 'live' | 'over'
    },
    async noteTaskEnded(task, outcome) {
      await orUnavailable(redis.set(`${tag}ended-task:${task}`, outcome, 'PX', unlockedKeptMs))
    },
    async restoreGranted({ id, record, reservedAt }, keepMs) {
      await orUnavailable(run('restore-granted', id, storeRecord(record), reservedAt, Math.ceil(keepMs)))
    },
    async restoreLock({ id, target, reason, actor, createdAt, expiresAt }) {
      const args = [id, lockName(target), JSON.stringify({ target, reason, actor }), createdAt, expiresAt ?? '']
      return (await orUnavailable(run('restore-lock', ...args))) === 1
    },
    async restoreOrder({ id, ...stored }, again) {
      await orUnavailable(run('restore-order', id, JSON.stringify(stored), again ? 1 : 0))
    },
    async restoreApproval(approval) {
      const { id, record, state, votes, requestedAt, expiresAt, endReason, lease } = approval
      const { recentRequests, deniedBefore, denial } = approval
      const asked =
        record === null
          ? {}
          : {
              asked: requestedAt,
              task: record.bound.task,
              bound: record.boundSha256,
              account: holderId('account', record.account),
              recent: recentRequests,
              before: deniedBefore ? 1 : 0,
            }
      const args = {
        approval: id,
        expires: expiresAt,
        state,
        why: endReason ?? undefined,
        lease: lease ?? undefined,
        votes: Object.fromEntries(votes.map((vote) => [personKey(vote), JSON.stringify(vote)])),
        ...asked,
        ...(denial === null ? {} : { denial }),
      }
      const text = record === null ? '' : JSON.stringify(record)
      return (await orUnavailable(run('restore-approval', JSON.stringify(args), text))) === 1
    },
    async restoreDenials(account, minutes) {
      await orUnavailable(run('restore-denials', holderId('account', account), JSON.stringify(minutes)))
    },
    async restoreDelegation({ id, record, expiresAt, opened }) {
      const args = [id, JSON.stringify(record), expiresAt, opened ?? '']
      return (await orUnavailable(run('restore-delegation', ...args))) === 1
    },
    async noteUnlocked(lock) {
      await orUnavailable(redis.set(`${tag}unlocked:${lock}`, '1', 'PX', unlockedKeptMs))
    },
    async pause(why) {
      await orUnavailable(redis.set(`${tag}paused`, why, 'NX'))
    },
    async resume() {
      await orUnavailable(redis.del(`${tag}paused`))
    },
    whyPaused: () => orUnavailable(redis.get(`${tag}paused`)),
    incarnation: () => orUnavailable(redis.get(`${tag}incarnation`)),
    reflected: async (chain) => Number((await orUnavailable(redis.hget(`${tag}wal`, chain))) ?? 0),
    async noteReflected(chain, sequence) {
      await orUnavailable(redis.hset(`${tag}wal`, chain, `${sequence}`))
    },
    successorOf: (incarnation) => orUnavailable(redis.get(`${tag}recovered:${incarnation}`)),
    async name(incarnation, known, walOf) {
      for (const [instance, sequence] of walOf) await orUnavailable(redis.hset(`${tag}wal`, instance, `${sequence}`))
      for (const one of known.filter((name) => name !== incarnation)) {
        await orUnavailable(redis.set(`${tag}recovered:${one}`, incarnation, 'PX', successorKeptMs))
      }
      await orUnavailable(redis.set(`${tag}incarnation`, incarnation))
    },
  }
}
