import type { AttributeRules } from '../claims.js'

/** What is known of a kind of issuer: which claims say what, and which of them its workloads cannot choose. */
export interface Preset {
  /** The issuer's URL where there is only one in the world. */
  readonly issuer: string | null
  readonly attributes: AttributeRules
  readonly account: readonly string[]
  readonly instance: readonly string[]
}
