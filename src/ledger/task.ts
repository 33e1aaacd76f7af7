// A task: a bounded piece of work that owns leases. It belongs to the principal and instance that opened it.
import type { AttributeValue } from '../identity/principal.js'

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
  readonly holders: readonly Holder[]
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
