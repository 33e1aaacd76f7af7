// What `policy check` has to know of a configuration to say that a policy can never apply.
import type { Resource } from './decision.js'

export interface ReachFacts {
  /** Name → who they are, and the attributes that they give beside those that every principal has. */
  readonly issuers: ReadonlyMap<
    string,
    { readonly use: 'workload' | 'operator'; readonly attributes: ReadonlySet<string> }
  >
  /** Group → the issuers of its members; empty: nobody is in it. */
  readonly groups: ReadonlyMap<string, readonly string[]>
  readonly resources: readonly {
    readonly type: string
    readonly placeholders: readonly string[]
    readonly attributes: Resource['attributes']
  }[]
  findResource(id: string): Resource | undefined
  readonly grants: readonly {
    readonly action: string
    readonly access: string
    readonly resourceType: string
    /** Declared field → its listed values; null: any. */
    readonly declared: ReadonlyMap<string, readonly unknown[] | null>
  }[]
}

/** What is doubtful, and a piece of the policy's text near which it is. */
export interface Doubt {
  readonly near: string
  readonly message: string
}
