// A task: a bounded piece of work that owns leases. It belongs to the principal and instance that opened it.
import type { AttributeValue, Binding } from '../identity/principal.js'
import type { CeilingPair } from './delegation.js'

export interface Holder {
  readonly id: string
  readonly kind: 'account' | 'session'
  /** How long what was granted is remembered, milliseconds; 0: as long as the holder itself. */
  readonly windowMs: number
}

export interface Task {
  readonly id: string
  readonly principal: string
  readonly account: string
  readonly instance: string | null
  /** Thumbprint of the key that it was opened with a proof of, and is pinned to; absent: none. */
  readonly jkt?: string
  /** The opener's verified attributes: ancestors are judged by them. */
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** How its opener was bound then; absent: not at all. Ancestors are judged by it. */
  readonly binding?: Binding
  /** The human behind its opener, where the issuer names one; absent: not known. */
  readonly person?: string
  /** The human behind whoever handed it on, where the issuer names one. */
  readonly delegator?: string
  /** Its own, then every ancestor's that is another: a lease is counted against all of them. */
  readonly holders: readonly Holder[]
  /** What it was handed: nothing else is issued in it or below it. Absent: nobody handed it anything. */
  readonly ceiling?: readonly CeilingPair[]
  /** The delegation that opened it. */
  readonly delegation?: string
  /** The name of the sub-agent that works on it under its parent's identity. */
  readonly agent?: string
  /** Task ids from its own up to the root. */
  readonly chain: readonly string[]
  readonly parent: string | null
  readonly depth: number
  readonly purpose: string
  readonly state: 'open' | 'ended'
  readonly outcome: string | null
  readonly openedAt: number
  readonly expiresAt: number
  readonly endedAt: number | null
  readonly activeLeases: number
}
