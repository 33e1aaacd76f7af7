// A lock: an operator's order that a target gets nothing, until it is removed or its time is up.
import type { Target } from '../api/revocations.js'

/** What can be locked: a filter over leases cannot, since reservations are checked against names alone. */
export type LockTarget = Exclude<Target, { where: unknown }>

export interface Lock {
  readonly id: string
  readonly target: LockTarget
  /** Told to every caller that it stops. */
  readonly reason: string
  readonly actor: string
  /** Epoch milliseconds, the ledger's clock. */
  readonly createdAt: number
  /** Null: until it is removed. */
  readonly expiresAt: number | null
}

/** The name under which the target is counted in `locked`; `lock-names` gives the same names for whatever it could stop. */
export function lockName(target: LockTarget): string {
  const [[kind, value] = ['', '']] = Object.entries(target)
  return `${kind}=${value}`
}
