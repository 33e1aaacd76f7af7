// The rules that `policy check` has about one way into a permit: by whose tokens, with which claims tested.
import type { IssuerFacts } from './pitfall-facts.js'

export interface Finding {
  /** The attribute that it is about, where the policy may name it. */
  readonly near: string | null
  readonly message: string
}

export interface Tested {
  /** Claim → allowed values; null: tested against something that is no literal. */
  readonly equal: ReadonlyMap<string, readonly unknown[] | null>
  readonly unequal: ReadonlyMap<string, readonly unknown[]>
}

/** What is doubtful about it. `changes`: it permits more than reading, without an approval by people. */
export function findPitfalls(
  issuer: IssuerFacts,
  tested: Tested,
  changes: boolean,
  forbidden: ReadonlySet<string>,
): Finding[] {
  if (issuer.pitfalls === null) return []
  const always = [namesNotIds, anybody, hearsay, incomplete]
  return [...always, ...(changes ? [noRef, untrusted] : [])].flatMap((rule) => rule({ issuer, tested, forbidden }))
}

interface Given {
  readonly issuer: IssuerFacts
  readonly tested: Tested
  readonly forbidden: ReadonlySet<string>
}

/** A name where an immutable id exists. */
function namesNotIds({ issuer, tested }: Given): Finding[] {
  return Object.entries(issuer.pitfalls?.names ?? {}).flatMap(([name, ids]) => {
    if (!tested.equal.has(name) || ids.some((id) => tested.equal.has(id))) return []
    const expected = `expected ${listOf(issuer, ids)} beside it, or in the issuer's require`
    return finding(issuer, name, `is a name, which can pass to somebody else: ${expected}`)
  })
}

/** The issuer is the world's and nothing says whose token it is. */
function anybody({ issuer, tested }: Given): Finding[] {
  const tenants = issuer.pitfalls?.tenants ?? null
  if (tenants === null || (tenants.onlyAt !== undefined && tenants.onlyAt !== issuer.url)) return []
  if (tenants.claims.some((claim) => tested.equal.has(claim))) return []
  const message = `reaches anybody who can have a token of issuer "${issuer.name}", whose tokens are anybody's: expected a test of ${listOf(issuer, tenants.claims.slice(0, 3))}, or its require`
  return [{ near: null, message }]
}

/** A claim that its caller, or whoever happened to start the job, chooses. */
function hearsay({ issuer, tested }: Given): Finding[] {
  return Object.entries(issuer.pitfalls?.hearsay ?? {}).flatMap(([claim, why]) =>
    [...tested.equal.keys()]
      .filter((name) => (claim.endsWith('/') ? name.startsWith(claim) : name === claim))
      .flatMap((name) => finding(issuer, name, `proves nothing: ${why}`)),
  )
}

/** A claim that says little without another. */
function incomplete({ issuer, tested }: Given): Finding[] {
  return (issuer.pitfalls?.incomplete ?? []).flatMap(({ claim, needs, why }) => {
    if (!tested.equal.has(claim) || needs.some((need) => tested.equal.has(need))) return []
    return finding(issuer, claim, `alone is not enough, ${why}: expected ${listOf(issuer, needs)} beside it`)
  })
}

/** Any branch may. */
function noRef({ issuer, tested, forbidden }: Given): Finding[] {
  const refs = issuer.pitfalls?.refs ?? []
  if (refs.length === 0 || refs.some((claim) => tested.equal.has(claim) || isForbidden(issuer, claim, forbidden))) {
    return []
  }
  const message = `permits more than reading to every branch of issuer "${issuer.name}": expected a test of ${listOf(issuer, refs.slice(0, 3))}`
  return [{ near: null, message }]
}

/** Pull requests, plans, forks. */
function untrusted({ issuer, tested, forbidden }: Given): Finding[] {
  return (issuer.pitfalls?.untrusted ?? []).flatMap(({ claim, values, orTested, why }) => {
    if (isForbidden(issuer, claim, forbidden) || orTested.some((other) => tested.equal.has(other))) return []
    const allowed = tested.equal.get(claim)
    const letIn = values.filter((value) => allowed?.includes(value))
    if (allowed !== undefined && letIn.length === 0) return []
    if (values.length > 0 && values.every((value) => tested.unequal.get(claim)?.includes(value))) return []
    const what = letIn.length > 0 ? `lets in ${letIn.join(', ')}` : 'is not tested'
    return finding(issuer, claim, `${what} on a permit of more than reading: ${why}`)
  })
}

function isForbidden(issuer: IssuerFacts, claim: string, forbidden: ReadonlySet<string>): boolean {
  return forbidden.has(attributeOf(issuer, claim) ?? '')
}

function finding(issuer: IssuerFacts, claim: string, message: string): Finding[] {
  return [{ near: attributeOf(issuer, claim), message: `${shown(issuer, claim)} (issuer "${issuer.name}") ${message}` }]
}

function listOf(issuer: IssuerFacts, claims: readonly string[]): string {
  return claims.map((claim) => shown(issuer, claim)).join(' or ')
}

/** The attribute's name as a policy would write it; the claim where it is mapped to none. */
function shown(issuer: IssuerFacts, claim: string): string {
  return attributeOf(issuer, claim) ?? `claim ${claim}`
}

function attributeOf(issuer: IssuerFacts, claim: string): string | null {
  for (const [name, path] of issuer.claims) if (path === claim) return name
  return claim === 'sub' ? 'subject' : null
}
