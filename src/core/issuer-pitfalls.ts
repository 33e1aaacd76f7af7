// What is known to go wrong with the claims of a kind of issuer, as data: presets state it, `policy check` looks for it.
// A claim is named by its path, the members joined by a slash; it need not be mapped to an attribute.

export interface IssuerPitfalls {
  /**
   * Anybody in the world can have tokens of it, so a permit has to say whose: one of these claims. `null` where the issuer's
   * URL is one tenant's alone; `onlyAt` where that holds of all URLs but this one.
   */
  readonly tenants: { readonly claims: readonly string[]; readonly onlyAt?: string } | null
  /** Names that can pass to somebody else → the immutable ids of which one has to be tested beside. */
  readonly names: Readonly<Record<string, readonly string[]>>
  /** A permit to write or deploy has to test one of these, or every branch may; empty where the issuer knows no such thing. */
  readonly refs: readonly string[]
  /** What a permit to write or deploy has to keep out. */
  readonly untrusted: readonly Untrusted[]
  /** Claims that say little without another. */
  readonly incomplete: readonly Incomplete[]
  /** Claims that the caller, or somebody who is not its author, chooses. A trailing slash: everything below. */
  readonly hearsay: Readonly<Record<string, string>>
  /** Claims that end in `@<ref>`: a pattern has to say which. */
  readonly pinned: readonly string[]
  /** Audiences that other services take too. */
  readonly sharedAudiences: RegExp | null
  /** URLs that do not name one issuer; with a fixed `jwks` they may be what the cluster says. */
  readonly vagueIssuers: { readonly pattern: RegExp; readonly fixedKeysHelp: boolean; readonly why: string } | null
}

export interface Untrusted {
  readonly claim: string
  /** Values that let it in; none: the claim has to be tested, whatever its value. */
  readonly values: readonly (string | boolean)[]
  /** Claims whose test keeps it out as well. */
  readonly orTested: readonly string[]
  readonly why: string
}

export interface Incomplete {
  readonly claim: string
  readonly needs: readonly string[]
  readonly why: string
}
