// The ledger's state as audit records tell it, for when the ledger itself lost it. The order in which chains are read does not
// matter: what one instance began another may have ended.
import type { StoredRecord } from '../audit/read-records.js'
import type { AttributeValue } from '../identity/principal.js'
import type { Delegation } from '../ledger/delegation.js'
import type { Lock } from '../ledger/lock.js'
import { chainMembers } from '../ledger/replies.js'
import type { LostApproval, LostLease, LostTask } from '../ledger/restoration.js'
import { ApprovalProjection } from './projected-approvals.js'
import { delegationOf } from './projected-delegation.js'
import { DenialProjection } from './projected-denials.js'
import { LeaseProjection, type ProjectedEnding, type ProjectedLease } from './projected-lease.js'
import { lockOf, orderOf, type ProjectedOrder } from './projected-orders.js'

type Mutable<T> = { -readonly [name in keyof T]: T[name] }

export class AuditProjection {
  readonly #leases = new Map<string, LeaseProjection>()
  readonly #tasks = new Map<string, Mutable<LostTask>>()
  readonly #taskEnds = new Map<string, string>()
  readonly #events = new Map<string, number>()
  readonly #delegations = new Map<string, Delegation>()
  readonly #locks = new Map<string, Lock>()
  readonly #orders = new Map<string, ProjectedOrder>()
  readonly #unlocked = new Set<string>()
  readonly #approvals = new ApprovalProjection()
  /** The last judging of all live leases that was carried through. */
  #redecided: { readonly rules: string; readonly begunAt: number } | null = null
  /** What was denied, by account. */
  readonly denials = new DenialProjection()
  /** Incarnations that were written for → when last said, in order of time. */
  readonly incarnations = new Map<string, string>()
  records = 0

  apply(record: StoredRecord): void {
    this.records++
    this.#approvals.apply(record)
    switch (record.event) {
      case 'broker.started':
      case 'ledger.replayed':
      case 'ledger.recovered':
        if (typeof record.ledger === 'string') this.#noteIncarnation(record.ledger, record.time)
        break
      case 'task.opened':
        this.#applyTask(record)
        break
      case 'task.ended':
        this.#taskEnds.set(String(record.task), String(record.outcome))
        break
      case 'tool.called':
        this.#events.set(String(record.task), (this.#events.get(String(record.task)) ?? 0) + 1)
        break
      case 'delegation.created':
        this.#delegations.set(String(record.delegation), delegationOf(record))
        break
      case 'lock.set':
        this.#locks.set(String(record.lock), lockOf(record))
        this.#applyOrder(orderOf(record))
        break
      case 'revocation.ordered':
        this.#applyOrder(orderOf(record))
        break
      case 'decision.denied':
        this.denials.apply(record)
        break
      case 'rules.redecided':
        this.#applyRedecided(record)
        break
      case 'lock.removed':
        this.#unlocked.add(String(record.lock))
        break
      default:
        this.#applyLease(record)
    }
  }

  /** Every lease that records tell of whole; one without its reservation's record was never minted. */
  *leases(): Generator<ProjectedLease> {
    for (const { lease } of this.#leases.values())
      if (lease !== null) yield { ...lease, lost: this.#judged(lease.lost) }
  }

  /** Ends of which this audit holds no beginning. */
  *foreignEnds(): Generator<{ lease: string; ending: ProjectedEnding | null; ended: boolean }> {
    for (const [lease, { foreignEnd }] of this.#leases) if (foreignEnd !== null) yield { lease, ...foreignEnd }
  }

  *tasks(): Generator<LostTask> {
    for (const task of this.#tasks.values()) {
      const events = this.#events.get(task.id)
      yield { ...task, outcome: this.#taskEnds.get(task.id) ?? null, ...(events === undefined ? {} : { events }) }
    }
  }

  /** Whether the records tell of its opening. */
  opened(task: string): boolean {
    return this.#tasks.has(task)
  }

  /** Each with the task that it opened, whichever instance opened that. */
  *delegations(): Generator<Delegation> {
    const opened = new Map([...this.#tasks.values()].map(({ id, record }) => [record.delegation, id]))
    for (const one of this.#delegations.values()) yield { ...one, opened: opened.get(one.id) ?? null }
  }

  /** Ends of tasks, whoever opened them: task → outcome. */
  get taskEnds(): ReadonlyMap<string, string> {
    return this.#taskEnds
  }

  /** Those that nobody removed; some may be past their end. */
  locks(): Lock[] {
    return [...this.#locks.values()].filter((lock) => !this.#unlocked.has(lock.id))
  }

  get unlocked(): ReadonlySet<string> {
    return this.#unlocked
  }

  /** Operators' orders over many leases, those of locks among them. */
  orders(): Iterable<ProjectedOrder> {
    return this.#orders.values()
  }

  /** What people were asked, with whatever became of it. */
  approvals(): Iterable<LostApproval> {
    return this.#approvals.approvals(this.#taskEnds)
  }

  /** A lease that was there when all were judged stands by those rules, not by the ones it was issued by. */
  #judged(lost: LostLease): LostLease {
    const last = this.#redecided
    return last !== null && lost.reservedAt < last.begunAt ? { ...lost, judgedBy: last.rules } : lost
  }

  #applyRedecided(record: StoredRecord): void {
    const begunAt = Date.parse(String(record.begun_at))
    if (begunAt > (this.#redecided?.begunAt ?? 0)) this.#redecided = { rules: String(record.rules), begunAt }
  }

  #noteIncarnation(incarnation: string, time: string): void {
    const before = this.incarnations.get(incarnation)
    if (before === undefined || before < time) this.incarnations.set(incarnation, time)
  }

  #applyTask(record: StoredRecord): void {
    if (!Array.isArray(record.holders) || !Array.isArray(record.chain)) return
    const parts = record as unknown as LostTask['record'] & {
      instance_of: string | null
      idempotency?: LostTask['idempotency']
    }
    this.#tasks.set(String(record.task), {
      id: String(record.task),
      record: {
        principal: parts.principal,
        account: parts.account,
        instance: parts.instance_of,
        attributes: (parts.attributes ?? {}) as Readonly<Record<string, AttributeValue>>,
        holders: parts.holders,
        chain: parts.chain,
        parent: parts.parent ?? null,
        depth: parts.depth ?? 0,
        purpose: parts.purpose,
        // A task that came back without its pin would be anybody's who has the token.
        ...(typeof record.pinned_to === 'string' ? { jkt: record.pinned_to } : {}),
        // And one without its ceiling could do all that its principals may.
        ...chainMembers(parts),
      },
      openedAt: Date.parse(String(record.opened_at ?? record.time)),
      expiresAt: Date.parse(String(record.expires_at)),
      outcome: null,
      idempotency: parts.idempotency ?? null,
      heartbeatSeconds: typeof record.heartbeat_seconds === 'number' ? record.heartbeat_seconds : null,
    })
  }

  #applyLease(record: StoredRecord): void {
    if (typeof record.lease !== 'string' || record.event.startsWith('approval.')) return
    const entry = this.#leases.get(record.lease) ?? new LeaseProjection()
    entry.apply(record.lease, record)
    this.#leases.set(record.lease, entry)
  }

  /** An order with its lock stands twice: what the order itself says counts, since it may end the task that it names. */
  #applyOrder(order: ProjectedOrder): void {
    if (!this.#orders.has(order.id) || !order.keepsTask) this.#orders.set(order.id, order)
  }
}
