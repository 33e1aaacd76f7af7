// What issuers require now, held against a principal of whom only the record is left: its subject and verified attributes.
// A claim that is mapped to no attribute was never written down, so of that it can only be told whether the rule is new.
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { sha256Hex } from '../core/hash.js'
import type { AttributeRules, Requirement } from './claims.js'
import { attributeRulesOf, type IssuersConfig } from './issuer-config.js'
import type { Principal } from './principal.js'

type Recorded = Pick<Principal, 'issuer' | 'subject' | 'attributes'>

/** Issuer → claim → digest of what is required of it. */
export type RequirementDigests = Readonly<Record<string, Readonly<Record<string, string>>>>

export interface Requirements {
  readonly digests: RequirementDigests
  /**
   * Why this principal would not be taken any more; null: it would. `before`: what was required when it last was found good; a
   * requirement that the record cannot answer is taken as met only where it stood then. Null before: nobody knows, it stands.
   */
  findUnmet(recorded: Recorded, before: RequirementDigests | null): 'issuer_removed' | 'issuer_require' | null
  /** The same of somebody who answered as an operator; what the record cannot answer stands. */
  findUnmetOperator(recorded: Recorded): 'issuer_removed' | 'issuer_require' | null
}

interface OneIssuer {
  readonly require: Readonly<Record<string, Requirement>>
  readonly attributes: AttributeRules
}

/** What each issuer's configuration asks of its tokens, for those of whom only the record is left. */
export function createRequirements(issuers: IssuersConfig): Requirements {
  const known = issuersFor('workload', issuers)
  const operators = issuersFor('operator', issuers)
  const digests = Object.fromEntries(
    [...known].map(([name, { require }]) => [
      name,
      Object.fromEntries(Object.entries(require).map(([claim, one]) => [claim, digestOf(one)])),
    ]),
  )
  const find = (issuer: OneIssuer | undefined, recorded: Recorded, before: RequirementDigests | null) => {
    if (issuer === undefined) return 'issuer_removed'
    for (const [claim, requirement] of Object.entries(issuer.require)) {
      const met = isMet([claim], requirement, recorded, issuer.attributes)
      if (met === true) continue
      const isOld = before === null || before[recorded.issuer]?.[claim] === digests[recorded.issuer]?.[claim]
      if (met === false || !isOld) return 'issuer_require'
    }
    return null
  }
  return {
    digests,
    findUnmet: (recorded, before) => find(known.get(recorded.issuer), recorded, before),
    findUnmetOperator: (recorded) => find(operators.get(recorded.issuer), recorded, null),
  }
}

function issuersFor(use: 'workload' | 'operator', issuers: IssuersConfig): Map<string, OneIssuer> {
  const found = new Map<string, OneIssuer>()
  for (const [name, entry] of Object.entries(issuers)) {
    if (entry.use !== use) continue
    const oidc = entry.type === 'oidc'
    found.set(name, { require: oidc ? entry.require : {}, attributes: oidc ? attributeRulesOf(entry) : {} })
  }
  return found
}

const digestOf = (requirement: Requirement) => sha256Hex(canonicalJson(requirement as Json)).slice(0, 16)

/** Null: the record does not tell. */
function isMet(
  path: readonly string[],
  requirement: Requirement,
  recorded: Recorded,
  rules: AttributeRules,
): boolean | null {
  if (typeof requirement === 'object' && !Array.isArray(requirement)) {
    const inner = Object.entries(requirement).map(([name, one]) => isMet([...path, name], one, recorded, rules))
    return inner.includes(false) ? false : inner.includes(null) ? null : true
  }
  const allowed: readonly unknown[] = Array.isArray(requirement) ? requirement : [requirement]
  if (path.length === 1 && path[0] === 'sub') return allowed.includes(recorded.subject)
  const mapped = Object.entries(rules).find(([, rule]) => rule.claim.join('\0') === path.join('\0'))
  // `require` compares a claim by its own type; one that is mapped as another is not in the attributes.
  if (mapped === undefined || allowed.some((one) => typeof one !== mapped[1].type)) return null
  const [name, { lowerCase }] = mapped
  const value = Object.hasOwn(recorded.attributes, name) ? recorded.attributes[name] : undefined
  return allowed.some((one) => (lowerCase && typeof one === 'string' ? one.toLowerCase() : one) === value)
}
