// A catalogue entry: what an action is, on what, and how its credential is minted.
import type { Json } from '../core/canonical-json.js'
import type { Access, OfferBounds } from '../policy/decision.js'

export interface ContextField {
  readonly type: 'string' | 'integer' | 'boolean'
  readonly oneOf: readonly (string | number)[] | null
  /** Matched whole: `^(?:…)$`. */
  readonly pattern: RegExp | null
  readonly optional: boolean
}

export interface Grant {
  readonly action: string
  readonly access: Access
  readonly resourceType: string
  /** The provider's name in the configuration. */
  readonly provider: string
  readonly ttl: { readonly defaultSeconds: number; readonly maxSeconds: number }
  readonly context: Readonly<Record<string, ContextField>>
  /** The operator said that this hands out a copy of a standing secret. */
  readonly standing: boolean
  readonly require: OfferBounds['require']
  /** Parsed, with placeholders still in it. */
  readonly recipe: { readonly [member: string]: Json | undefined }
  /** Environment variable → template over `credential.*` and `resource.*`, for `exec`. */
  readonly env: Readonly<Record<string, string>>
}
