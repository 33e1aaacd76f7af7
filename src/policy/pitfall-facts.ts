// What `policy check` has to know of a configuration to look for pitfalls.
import type { IssuerPitfalls } from '../core/issuer-pitfalls.js'

/** What the configuration says of one issuer of workloads. */
export interface IssuerFacts {
  readonly name: string
  /** Its URL, or null where it has none (SPIFFE). */
  readonly url: string | null
  /** Attribute → the claim behind it, members joined by a slash. */
  readonly claims: ReadonlyMap<string, string>
  /** Claims of its `require` → their allowed values. */
  readonly required: ReadonlyMap<string, readonly unknown[]>
  /** The claims that its account is made of. */
  readonly account: readonly string[]
  readonly pitfalls: IssuerPitfalls | null
}

/** One way into a group: an issuer's principal by id, or those with these attributes. */
export interface GroupMember {
  readonly issuer: string
  readonly subject: string | null
  readonly where: ReadonlyMap<string, readonly unknown[]>
}

export interface PitfallFacts {
  readonly issuers: readonly IssuerFacts[]
  readonly groups: ReadonlyMap<string, readonly GroupMember[]>
  /** Action → access. */
  readonly grants: ReadonlyMap<string, string>
}
