// Audit records → what the ledger held by them. The order in which chains are read does not matter: what one instance began
// another may have ended.
import type { StoredRecord } from '../audit/read-records.js'
import type { AttributeValue } from '../identity/principal.js'
import type { EndReason, LeaseRecord } from '../ledger/lease.js'
import type { LostLease, LostTask } from '../ledger/restoration.js'

/** What the records tell of one lease; members come as their records do. */
export interface GatheredLease {
  readonly lost: LostLease
  /** Somebody ordered its end. */
  readonly ending: { readonly reason: EndReason; readonly actor: string } | null
  /** The state it ended in; null when no record says that it did. */
  readonly endedAs: string | null
}

type Mutable<T> = { -readonly [name in keyof T]: T[name] }
type Entry = {
  reserved?: Mutable<LostLease>
  issued?: LostLease['issued']
  ending?: GatheredLease['ending']
  ended?: string
}

export class Gathered {
  readonly #leases = new Map<string, Entry>()
  readonly #tasks = new Map<string, Mutable<LostTask>>()
  readonly #taskEnds = new Map<string, string>()
  readonly #locks = new Map<string, string>()
  readonly #unlocked = new Set<string>()
  /** Incarnations that were written for → when last said, in order of time. */
  readonly incarnations = new Map<string, string>()
  records = 0

  take(record: StoredRecord): void {
    this.records++
    switch (record.event) {
      case 'broker.started':
      case 'ledger.replayed':
      case 'ledger.recovered':
        if (typeof record.ledger === 'string') this.#noteIncarnation(record.ledger, record.time)
        break
      case 'task.opened':
        this.#takeTask(record)
        break
      case 'task.ended':
        this.#taskEnds.set(String(record.task), String(record.outcome))
        break
      case 'lock.set':
        for (const target of targetsOf(record.target)) this.#locks.set(String(record.lock), target)
        break
      case 'lock.removed':
        this.#unlocked.add(String(record.lock))
        break
      default:
        this.#takeLease(record)
    }
  }

  /** Every lease that records tell of whole; one without its reservation's record was never minted. */
  *leases(): Generator<GatheredLease> {
    for (const { reserved, issued = null, ending = null, ended = null } of this.#leases.values()) {
      if (reserved) yield { lost: { ...reserved, issued }, ending, endedAs: ended }
    }
  }

  /** Ends of which this audit holds no beginning. */
  *foreignEnds(): Generator<{ lease: string; ending: GatheredLease['ending']; ended: boolean }> {
    for (const [lease, { reserved, ending = null, ended }] of this.#leases) {
      if (!reserved && (ending || ended)) yield { lease, ending, ended: ended !== undefined }
    }
  }

  *tasks(): Generator<LostTask> {
    for (const task of this.#tasks.values()) yield { ...task, outcome: this.#taskEnds.get(task.id) ?? null }
  }

  /** Ends of tasks, whoever opened them: task → outcome. */
  get taskEnds(): ReadonlyMap<string, string> {
    return this.#taskEnds
  }

  locks(): string[] {
    return [...this.#locks].flatMap(([lock, target]) => (this.#unlocked.has(lock) ? [] : [target]))
  }

  #noteIncarnation(incarnation: string, time: string): void {
    const before = this.incarnations.get(incarnation)
    if (before === undefined || before < time) this.incarnations.set(incarnation, time)
  }

  #takeTask(record: StoredRecord): void {
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
      },
      openedAt: Date.parse(record.time),
      expiresAt: Date.parse(String(record.expires_at)),
      outcome: null,
      idempotency: parts.idempotency ?? null,
    })
  }

  #takeLease(record: StoredRecord): void {
    if (typeof record.lease !== 'string') return
    const entry = this.#leases.get(record.lease) ?? {}
    switch (record.event) {
      case 'lease.reserved':
        entry.reserved = reservedOf(record.lease, record)
        break
      case 'lease.issued':
        entry.issued = issuedOf(record)
        break
      case 'lease.ending':
        entry.ending = { reason: record.reason as EndReason, actor: String(record.actor) }
        break
      case 'lease.ended':
        entry.ended ??= String(record.state)
        break
      default:
        return
    }
    this.#leases.set(record.lease, entry)
  }
}

function reservedOf(id: string, record: StoredRecord): Mutable<LostLease> {
  return {
    id,
    record: record.record as unknown as LeaseRecord,
    reservedAt: Date.parse(String(record.reserved_at ?? record.time)),
    expiresAt: Date.parse(String(record.deadline)),
    idempotency: (record.idempotency ?? null) as LostLease['idempotency'],
    issued: null,
  }
}

const issuedOf = (record: StoredRecord): LostLease['issued'] => ({
  at: Date.parse(record.time),
  sealedHandle: String(record.sealed_handle),
  providerExpiresAt: Date.parse(String(record.provider_expires_at)),
  providerRef: String(record.provider_ref),
  fingerprints: (record.fingerprints ?? []) as unknown as readonly string[],
})

/** `{ account: "…" }` → `account=…`, as the ledger's locks are named. */
function targetsOf(target: unknown): string[] {
  if (typeof target !== 'object' || target === null) return []
  return Object.entries(target).flatMap(([kind, name]) =>
    typeof name === 'string' || name === true ? [`${kind}=${name}`] : [],
  )
}
