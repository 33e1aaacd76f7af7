// Who is asking: what an issuer vouched for, and nothing that the caller merely says.
import type { SingleUse } from './dpop-proof.js'

export type AttributeValue = string | number | boolean | readonly string[]

export type Binding = 'none' | 'dpop' | 'mtls'

export interface Principal {
  /** `issuer-name:subject`. */
  readonly id: string
  /** The issuer's name in the configuration. */
  readonly issuer: string
  readonly subject: string
  readonly use: 'workload' | 'operator'
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** Who stands behind it, by immutable claims: `issuer-name:…`. Operators have one too, for rates. */
  readonly account: string
  /** One run of it, or null where the issuer names none. */
  readonly instance: string | null
  /** The window over which power must not accumulate where there is no instance. */
  readonly sessionSeconds: number
  readonly binding: Binding
  /** Thumbprint of the key that this request proved, whoever chose it; absent: none. */
  readonly jkt?: string
  /** RFC 8705 thumbprint of the certificate that `binding` `mtls` rests on; absent otherwise. */
  readonly x5t?: string
  /** Set where the token is good for one request: whoever takes the request has to claim it first. */
  readonly tokenUse?: SingleUse
  /** Set where a delegation's token stands for a subject token: it is good for the one task that this delegation opens. */
  readonly delegation?: string
  /** The sub-agent that brought it. */
  readonly agent?: string
  /** By `person`: as whom an operator is counted when approving, and which human is behind a workload; null: not known. */
  readonly person: string | null
  /** SHA-256 of the subject token, hex: the only trace of it that is ever written down. */
  readonly tokenSha256: string
  /** When the subject token ends, epoch seconds. */
  readonly tokenExpiresAt: number
}
