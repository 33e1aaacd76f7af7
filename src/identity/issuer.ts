import type { AcceptedTokens } from './accepts.js'
import type { IssuerSkew } from './clock-skew.js'
import type { IssuerChecks } from './issuer-checks.js'
import type { KeyStatus } from './jwks.js'
import type { PublicKey } from './key-set.js'
import type { PresentedKeys, VouchedKeys } from './presented-keys.js'
import type { Principal } from './principal.js'
import type { RawToken } from './raw-token.js'
import type { PresentedCertificate } from './x509-svid.js'

/** Who a token speaks for, and the key that proved it. */
export interface Verified {
  readonly principal: Principal
  readonly key: PublicKey
  /** The keys that the issuer ties the token to. */
  readonly vouched: VouchedKeys
}

/** What of a verified token may be kept: neither its text nor its signature. */
export type TokenTerms = Pick<RawToken, 'header' | 'payload'>

/** One configured issuer of subject tokens. */
export interface Issuer {
  readonly name: string
  readonly use: 'workload' | 'operator'
  /** What it takes, in words: for operators. */
  readonly accepts: AcceptedTokens
  /** The very steps of `authenticate`, for `token explain`. */
  readonly checks: IssuerChecks
  /** Whether this issuer is the one to try. Reads unverified members, only to choose; no network. */
  matches(token: RawToken): boolean
  /**
   * Verifies the token and says who it speaks for, as yet bound to nothing. A token that is bound to a key which `presented`
   * does not hold is refused.
   * Throws BrokerError `invalid_token` (401) or `issuer_unavailable` (503: its keys could not be had; never the caller's fault).
   */
  authenticate(token: RawToken, presented?: PresentedKeys): Promise<Verified>
  /**
   * Whether a token that `key` has verified would be verified by it now; false: it has to be verified anew. Throws as
   * `authenticate` does when its time is over or the keys cannot be had.
   */
  stands(token: TokenTerms, key: PublicKey): Promise<boolean>
  /** For readiness and `doctor`: how old its keys are, what was last wrong, which keys were refused. Never fetches. */
  status(): KeyStatus
  /** For `doctor`: loads keys now and returns how many are usable; throws with a readable message when they cannot be had. */
  refresh(): Promise<number>
  /** How far its clock is from ours, as far as it was seen; absent: nobody measures. */
  skew?(): IssuerSkew
  /** Ends what it keeps open to its keys, if anything. */
  close?(): void
  /** Absent where certificates identify nobody. */
  readonly svids?: SvidVerifier
}

/** What of a trust domain verifies its X.509-SVIDs. */
export interface SvidVerifier {
  readonly trustDomain: string
  /** Throws as Issuer.authenticate does. */
  authenticate(presented: PresentedCertificate): Promise<Principal>
}
