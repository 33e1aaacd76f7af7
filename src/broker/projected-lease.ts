// What audit records tell of one lease. They come in any order: what one instance began another may have ended.
import type { StoredRecord } from '../audit/read-records.js'
import type { EndReason, LeaseRecord, LeaseState, Receipt } from '../ledger/lease.js'
import type { LostEnd, LostLease } from '../ledger/restoration.js'

export interface ProjectedLease {
  readonly lost: LostLease
  /** Somebody ordered its end. */
  readonly ending: ProjectedEnding | null
  /** The state it ended in; null when no record says that it did. */
  readonly endedAs: LeaseState | null
  /** Its revocation failed, and this is the last that was said of it. */
  readonly failed: boolean
  /** An operator had its failed revocation tried again, and this is the last that was said of it. */
  readonly retried: boolean
}

export interface ProjectedEnding {
  readonly reason: EndReason
  readonly actor: string
}

type Reserved = Omit<LostLease, 'issued' | 'end'>

/** The records of one lease, as they come. */
export class LeaseProjection {
  #reserved: Reserved | null = null
  #issued: LostLease['issued'] = null
  #ending: ProjectedEnding | null = null
  #ended: LostEnd | null = null
  /** The last of: it failed, an operator had it retried, an operator closed it. */
  #failure: { readonly what: 'failed' | 'retried' | 'abandoned'; readonly end: LostEnd } | null = null

  apply(lease: string, record: StoredRecord): void {
    switch (record.event) {
      case 'lease.reserved':
        this.#reserved = reservedOf(lease, record)
        break
      case 'lease.issued':
        this.#issued = issuedOf(record)
        break
      case 'lease.ending':
        this.#ending = { reason: record.reason as EndReason, actor: String(record.actor) }
        break
      case 'lease.ended':
        // A second one is legal, and readers take the first.
        if (this.#ended === null || Date.parse(record.time) < this.#ended.at) this.#ended = endOf(record)
        break
      case 'lease.revocation_failed':
        this.#applyFailure('failed', endOf(record))
        break
      case 'lease.retry_ordered':
        this.#applyFailure('retried', endOf(record))
        break
      case 'lease.abandon_ordered':
        this.#applyFailure('abandoned', { ...endOf(record), state: 'abandoned', reason: 'abandoned' })
        break
    }
  }

  /** Null without the reservation's record: it was never minted, or the record is not among these. */
  get lease(): ProjectedLease | null {
    if (this.#reserved === null) return null
    const { what = null, end = null } = this.#failure ?? {}
    const over = this.#ended ?? (what === 'abandoned' ? end : null)
    return {
      lost: { ...this.#reserved, issued: this.#issued, end: over ?? (what === 'failed' ? end : null) },
      ending: this.#ending,
      endedAs: over?.state ?? null,
      failed: over === null && what === 'failed',
      retried: over === null && what === 'retried',
    }
  }

  /** The end of a lease whose beginning stands elsewhere. */
  get foreignEnd(): { ending: ProjectedEnding | null; ended: boolean } | null {
    if (this.#reserved !== null || (this.#ending === null && this.#ended === null)) return null
    return { ending: this.#ending, ended: this.#ended !== null }
  }

  #applyFailure(what: 'failed' | 'retried' | 'abandoned', end: LostEnd): void {
    if (this.#failure === null || end.at >= this.#failure.end.at) this.#failure = { what, end }
  }
}

function reservedOf(id: string, record: StoredRecord): Reserved {
  return {
    id,
    record: record.record as unknown as LeaseRecord,
    reservedAt: Date.parse(String(record.reserved_at ?? record.time)),
    expiresAt: Date.parse(String(record.deadline)),
    idempotency: (record.idempotency ?? null) as LostLease['idempotency'],
    judgedBy: typeof record.rules === 'string' ? record.rules : null,
  }
}

const issuedOf = (record: StoredRecord): LostLease['issued'] => ({
  at: Date.parse(record.time),
  sealedHandle: String(record.sealed_handle),
  providerExpiresAt: Date.parse(String(record.provider_expires_at)),
  providerRef: String(record.provider_ref),
  fingerprints: (record.fingerprints ?? []) as unknown as readonly string[],
  secretDigests: (record.secret_digests ?? []) as unknown as readonly string[],
})

/** `lease.ended` and `lease.revocation_failed` say all of it, an operator's order less. */
function endOf(record: StoredRecord): LostEnd {
  const at = Date.parse(record.time)
  const said = record.receipt as unknown as (Omit<Receipt, 'at'> & { readonly at: string }) | undefined
  return {
    state: (record.state ?? 'failed') as LeaseState,
    reason: (record.end_reason ?? 'revoked') as EndReason,
    actor: String(record.actor),
    receipt: said ? { ...said, at: Date.parse(said.at) } : { outcome: 'failed', evidence: 'none', at },
    attempts: typeof record.attempts === 'number' ? record.attempts : 0,
    at,
  }
}
