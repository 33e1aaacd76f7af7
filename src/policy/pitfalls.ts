// `policy check`: permits that are legal and yet reach whom nobody meant, by what is known of their issuers' claims.
// A forbid that reads the same attribute, or an approval by people, is taken as somebody having thought of it.
import { type Pattern, patternsOf, type Tests, testsOf } from './conditions.js'
import { halfAnchored, unpinned } from './half-anchored.js'
import type { GroupMember, IssuerFacts, PitfallFacts } from './pitfall-facts.js'
import { type Finding, findPitfalls, type Tested } from './pitfall-rules.js'
import type { Policy } from './policy.js'
import { jsonOf } from './policy-json.js'
import type { PolicyProblem, PolicySet } from './policy-set.js'

/** How a permit can be reached: an issuer, and what is known of the principal by then. */
interface Way {
  readonly issuer: IssuerFacts
  readonly tested: Tested
}

/** Warnings on permits, in the order of the set; each once per policy, however many ways lead to it. */
export function checkPitfalls(set: PolicySet, facts: PitfallFacts): PolicyProblem[] {
  return set.policies.flatMap((policy) => {
    if (policy.effect !== 'permit') return []
    const json = jsonOf(policy)
    if (json === null) return []
    const reached = [...facts.grants].filter(([action, access]) => reaches(policy, action, access))
    if (reached.length === 0) return []
    const changes = reached.filter(([, access]) => access !== 'read')
    const isChanging = changes.length > 0 && policy.offer.approval === null
    const findings = waysInto(policy, testsOf(json), facts).flatMap(({ issuer, tested }) => {
      const forbidden = readByForbids(set, facts, changes)
      return findPitfalls(issuer, tested, isChanging, forbidden)
    })
    findings.push(...patternsOf(json).flatMap((pattern) => doubtsOf(pattern, facts)))
    return dedupe(findings).map((finding) => problemAt(policy, finding))
  })
}

function reaches(policy: Policy, action: string, access: string): boolean {
  return policy.actions === null || policy.actions.some((name) => name === action || name === access)
}

function doubtsOf(pattern: Pattern, facts: PitfallFacts): Finding[] {
  const isAmong = (of: 'refs' | 'pinned') =>
    facts.issuers.some(({ claims, pitfalls }) => pitfalls?.[of].includes(claims.get(pattern.attribute) ?? ''))
  const found = isAmong('pinned') ? [unpinned(pattern)] : []
  return [...found, halfAnchored(pattern, isAmong('refs'))].flatMap((message) =>
    message === null ? [] : [{ near: pattern.attribute, message }],
  )
}

/** Attributes that a forbid for every one of these grants reads. */
function readByForbids(
  set: PolicySet,
  facts: PitfallFacts,
  changes: readonly (readonly [string, string])[],
): ReadonlySet<string> {
  const covering = set.policies.filter(
    (policy) => policy.effect === 'forbid' && changes.every(([action, access]) => reaches(policy, action, access)),
  )
  const known = new Set(facts.issuers.flatMap((issuer) => [...issuer.claims.keys()]))
  return new Set(covering.flatMap((policy) => [...policy.uses.attributes].filter((name) => known.has(name))))
}

function waysInto(policy: Policy, tests: Tests, facts: PitfallFacts): Way[] {
  return startsOf(policy, tests, facts).flatMap(({ issuer, where, subject }): Way[] => {
    if (!canReach(issuer, tests)) return []
    const equal = new Map<string, readonly unknown[] | null>(issuer.required)
    const add = (name: string, values: readonly unknown[] | null) => {
      const claim = claimOf(issuer, name)
      if (!equal.has(claim) || values !== null) equal.set(claim, values)
    }
    for (const [name, values] of tests.equal) add(name, values)
    if (tests.equal.has('account')) for (const claim of issuer.account) equal.set(claim, equal.get(claim) ?? null)
    for (const [name, values] of where) add(name, values)
    if (subject !== null) equal.set('sub', [subject])
    const unequal = new Map([...tests.unequal].map(([name, values]) => [claimOf(issuer, name), values]))
    return [{ issuer, tested: { equal, unequal } }]
  })
}

function claimOf(issuer: IssuerFacts, attribute: string): string {
  return attribute === 'subject' ? 'sub' : (issuer.claims.get(attribute) ?? `attribute ${attribute}`)
}

/** An issuer that does not give an attribute which has to be there cannot be meant. */
function canReach(issuer: IssuerFacts, tests: Tests): boolean {
  const given = (name: string) => ['subject', 'account', 'issuer'].includes(name) || issuer.claims.has(name)
  const named = tests.equal.get('issuer')
  if (named && !named.includes(issuer.name)) return false
  if (tests.within.some(({ type, ids }) => type === 'Issuer' && !ids.includes(issuer.name))) return false
  return [...tests.has, ...tests.equal.keys()].every(given)
}

type Start = { issuer: IssuerFacts; where: GroupMember['where']; subject: string | null }

function startsOf(policy: Policy, tests: Tests, facts: PitfallFacts): Start[] {
  const everyone = facts.issuers.map((issuer): Start => ({ issuer, where: new Map(), subject: null }))
  const [, type, quoted] = /^(\w+)::(".*")$/s.exec(policy.principalKey) ?? []
  const id = quoted === undefined ? '' : String(JSON.parse(quoted))
  if (type === 'Issuer') return everyone.filter(({ issuer }) => issuer.name === id)
  if (type === 'Workload') {
    const [name] = id.split(':', 1)
    const subject = id.slice((name ?? '').length + 1)
    return everyone.filter(({ issuer }) => issuer.name === name).map((start) => ({ ...start, subject }))
  }
  if (type === 'Group') return membersOf([id], facts)
  if (type !== undefined || policy.principalKey === 'is Operator') return []
  const groups = tests.within.find((one) => one.type === 'Group')
  return groups === undefined ? everyone : membersOf(groups.ids, facts)
}

function membersOf(groups: readonly string[], facts: PitfallFacts): Start[] {
  return groups
    .flatMap((group) => facts.groups.get(group) ?? [])
    .flatMap(({ issuer: name, subject, where }) => {
      const issuer = facts.issuers.find((one) => one.name === name)
      return issuer === undefined ? [] : [{ issuer, where, subject }]
    })
}

function dedupe(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [finding.message, finding])).values()]
}

/** At the line that names the attribute, else where the policy starts. */
function problemAt(policy: Policy, { near, message }: Finding): PolicyProblem {
  const at = near === null ? -1 : policy.text.search(new RegExp(`\\bprincipal\\s*\\.\\s*${near}\\b`))
  const line = policy.line + (at < 0 ? 0 : policy.text.slice(0, at).split('\n').length - 1)
  return { file: policy.file, line, column: 1, message: `${policy.id}: ${message}` }
}
