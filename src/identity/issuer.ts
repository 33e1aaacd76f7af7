import type { KeyStatus } from './jwks.js'
import type { Principal } from './principal.js'
import type { RawToken } from './raw-token.js'

/** One configured issuer of subject tokens. */
export interface Issuer {
  readonly name: string
  readonly use: 'workload' | 'operator'
  /** Whether this issuer is the one to try. Reads unverified members, only to choose; no network. */
  matches(token: RawToken): boolean
  /**
   * Verifies the token and says who it speaks for.
   * Throws BrokerError `invalid_token` (401) or `issuer_unavailable` (503: its keys could not be had; never the caller's fault).
   */
  authenticate(token: RawToken): Promise<Principal>
  /** For readiness and `doctor`: how old its keys are, what was last wrong, which keys were refused. Never fetches. */
  status(): KeyStatus
  /** For `doctor`: fetches or re-reads keys now, throws with a readable message when they cannot be had. Returns how many are usable. */
  refresh(): Promise<number>
}
