// A declared value is the caller's claim. A permit may rest on one only where the provider enforces it, because the
// recipe consumes it, or where a human looks at it.
import type { Policy } from './policy.js'
import type { PolicyProblem, PolicySet } from './policy-set.js'

export interface DeclaringGrant {
  readonly action: string
  readonly access: string
  /** Every field of its declared context. */
  readonly fields: readonly string[]
  /** Those that its recipe consumes. */
  readonly consumed: ReadonlySet<string>
  /** The grant itself demands approval, whatever the permit says. */
  readonly approved: boolean
}

/** Permits that rest on declared values of some grant that neither its recipe nor an approval covers. */
export function checkDeclaredUses(set: PolicySet, grants: readonly DeclaringGrant[]): PolicyProblem[] {
  return set.policies.flatMap((policy) => {
    if (policy.effect !== 'permit' || policy.offer.approval !== null) return []
    return grants.flatMap((grant) => {
      if (grant.approved || !isReached(policy, grant)) return []
      const tested = grant.fields.filter((field) => policy.uses.declared === null || policy.uses.declared.has(field))
      return tested
        .filter((field) => !grant.consumed.has(field))
        .map((field) => ({
          file: policy.file,
          line: policy.line,
          column: 1,
          message: `${policy.id} rests on context.declared.${field}, which the caller merely claims: expected the recipe of ${grant.action} to consume it, or an @approval`,
        }))
    })
  })
}

function isReached(policy: Policy, grant: DeclaringGrant): boolean {
  return policy.actions === null || policy.actions.some((name) => name === grant.action || name === grant.access)
}
