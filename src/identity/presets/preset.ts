import type { IssuerPitfalls } from '../../core/issuer-pitfalls.js'
import type { AttributeRule, AttributeRules } from '../claims.js'
import type { RawToken } from '../raw-token.js'

/** What is known of a kind of issuer: which claims say what, and which of them its workloads cannot choose. */
export interface Preset {
  /** The issuer's URL where there is only one in the world, or one that is meant unless another is written. */
  readonly issuer: string | null
  /** What it signs with; null: differs from one installation to another. */
  readonly algorithms: readonly string[] | null
  readonly attributes: AttributeRules
  readonly account: readonly string[]
  /** Attributes that tell one run from another, or null: its tokens do not say. */
  readonly instance: readonly string[] | null
  /** The window over which power must not accumulate where there is no instance. */
  readonly sessionSeconds: number
  /** Why a token that its issuer really signed is no workload's; null: nothing against it. */
  readonly refuses?: (claims: RawToken['claims']) => string | null
  readonly pitfalls: IssuerPitfalls
}

/** Where tokens do not say, or as a bound where they do: a working day. */
export const workingDaySeconds = 8 * 3600

/** A claim, by its path, that is a text or absent. */
export const text = (...claim: string[]): AttributeRule => ({ claim, type: 'string' })

/** Attributes that have the names of their claims. */
export function texts(...names: string[]): AttributeRules {
  return Object.fromEntries(names.map((name) => [name, text(name)]))
}
