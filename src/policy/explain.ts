// Why it was decided so: of each policy that comes into question which of its parts held, with the values that they read.
// Cedar itself says whether a part holds. Everything shown is of the typed input; free text never gets here (I6).
import type { Json } from '../core/canonical-json.js'
import type { Principal } from '../identity/principal.js'
import { type Context, isAuthorized } from './cedar.js'
import { actionEntity, operateContext, principalEntity, requestContext, resourceEntity } from './cedar-request.js'
import type { DecisionInput, Resource } from './decision.js'
import type { Policy } from './policy.js'
import { jsonOf } from './policy-json.js'
import { anything, type PolicyPart, partsOf } from './policy-parts.js'

export interface PartSeen {
  readonly text: string
  /**
   * `error`: it cannot be told, such as a comparison with an attribute that is not there. `unread`: the same, behind a part
   * that does not hold, so that nobody asks.
   */
  readonly holds: 'yes' | 'no' | 'error' | 'unread'
  /** What it reads → its value; null where there is none. */
  readonly values: Readonly<Record<string, Json>>
}

export interface PolicySeen {
  readonly policy: Policy
  readonly parts: readonly PartSeen[]
  readonly applies: boolean
}

/** One request, with everything that any policy could read of it. */
export interface Request {
  readonly principal: Principal
  readonly groups: readonly string[]
  readonly action: string
  readonly access: string | null
  readonly target: Resource | 'broker'
  readonly context: Context
}

const everything = { context: new Set<string>(), wholeContext: true }

export function requestOf(input: DecisionInput, access: string, groups: readonly string[]): Request {
  const { principal, action, resource: target } = input
  const reads = { ...everything, attributes: new Set<string>() }
  return { principal, groups, action, access, target, context: requestContext(input, reads) }
}

export function operateRequestOf(
  asked: Omit<Request, 'access' | 'context'>,
  about: { action?: string; access?: string },
): Request {
  return { ...asked, access: null, context: operateContext(about, { ...everything, attributes: new Set<string>() }) }
}

/** Each policy that names this action or its access class, in the order of the set. */
export function explainPolicies(policies: readonly Policy[], request: Request): PolicySeen[] {
  const { action, access } = request
  return policies.flatMap((policy) => {
    const names = policy.actions
    if (names !== null && !names.some((name) => name === action || name === access)) return []
    const json = jsonOf(policy)
    if (json === null) return []
    const parts = seeParts(partsOf(json), request)
    return [{ policy, parts, applies: parts.every(({ holds }) => holds === 'yes') }]
  })
}

/**
 * Permits that do not apply, the nearest first: those for this caller and this resource before those that are for others.
 * One that is for neither is no near miss.
 */
export function nearMisses(seen: readonly PolicySeen[], most = 5): PolicySeen[] {
  const missing = ({ policy, parts }: PolicySeen) => ({
    scope: parts.filter(({ text, holds }) => holds !== 'yes' && isScope(text)).length,
    all: parts.filter(({ holds }) => holds !== 'yes').length,
    id: policy.id,
  })
  return seen
    .filter(({ policy, applies }) => policy.effect === 'permit' && !applies)
    .map((one) => ({ one, ...missing(one) }))
    .filter(({ scope }) => scope < 2)
    .sort((a, b) => a.scope - b.scope || a.all - b.all || (a.id < b.id ? -1 : 1))
    .slice(0, most)
    .map(({ one }) => one)
}

/** A condition begins with its root's attribute or an operator; scopes alone compare the bare principal or resource. */
const isScope = (text: string) => /^(principal|action|resource) (==|in|is) /.test(text)

function seeParts(parts: readonly PolicyPart[], request: Request): PartSeen[] {
  const holding = holdingParts(parts, request)
  const firstMissed = parts.findIndex((_, index) => holding(index) === 'no')
  return parts.map((part, index) => ({
    text: part.text,
    holds: holding(index) === 'error' && firstMissed >= 0 && firstMissed < index ? 'unread' : holding(index),
    values: { ...whoAndWhat(part, request), ...valuesOf(part, request) },
  }))
}

/** A scope reads no attribute: who and what it is measured against. */
function whoAndWhat({ kind, text }: PolicyPart, { principal, groups, target }: Request): Record<string, Json> {
  if (kind === 'resource') return { resource: target === 'broker' ? 'broker' : target.id }
  if (kind !== 'principal' && !/\bprincipal in /.test(text)) return {}
  return { principal: principal.id, groups: [...groups] }
}

/** Asks Cedar once for all of them: each part is a permit of its own, and those that determine hold. */
function holdingParts(parts: readonly PolicyPart[], request: Request): (index: number) => PartSeen['holds'] {
  const attributes = new Set([...Object.keys(plainPrincipal(request)), ...Object.keys(plainResource(request))])
  const reads = { ...everything, attributes }
  const principal = principalEntity(request.principal, request.groups, reads)
  const action = actionEntity(request.action, request.access)
  const resource = resourceEntity(request.target, reads)
  const ask = (indexes: readonly number[]): PartSeen['holds'][] => {
    const policies = indexes.map((index) => [`part-${index}`, parts[index]?.alone ?? anything])
    const answer = isAuthorized({
      principal: principal.uid,
      action: action.uid,
      resource: resource.uid,
      context: request.context,
      policies: { staticPolicies: Object.fromEntries(policies) },
      entities: [principal, action, resource],
      validateRequest: false,
    })
    // One part that Cedar does not take back (a number beyond 2^53 is not what it was, as JSON) must not hide the others.
    if (answer.type === 'failure') return indexes.length > 1 ? indexes.flatMap((index) => ask([index])) : ['error']
    const { reason, errors } = answer.response.diagnostics
    const erring = errors.map(({ policyId }) => policyId)
    return indexes.map((i) => (reason.includes(`part-${i}`) ? 'yes' : erring.includes(`part-${i}`) ? 'error' : 'no'))
  }
  const answers = ask(parts.map((_, index) => index))
  return (index) => answers[index] ?? 'error'
}

function plainPrincipal({ principal }: Request): Record<string, unknown> {
  const { issuer, subject, account, attributes } = principal
  return { ...attributes, issuer, subject, ...(principal.use === 'workload' ? { account } : {}) }
}

function plainResource({ target }: Request): Record<string, unknown> {
  return target === 'broker' ? {} : { ...target.attributes, id: target.id.slice(target.type.length + 1) }
}

function valuesOf({ reads }: PolicyPart, request: Request): Record<string, Json> {
  const roots: Record<string, unknown> = {
    principal: plainPrincipal(request),
    resource: plainResource(request),
    context: request.context,
  }
  return Object.fromEntries(reads.map((path) => [path.join('.'), valueAt(roots, path)]))
}

function valueAt(root: unknown, path: readonly string[]): Json {
  let at: unknown = root
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return null
    at = (at as Record<string, unknown>)[name]
  }
  // Cedar's datetime, as people write it.
  const extension = (at as { __extn?: { arg?: string } }).__extn
  return (extension?.arg ?? at) as Json
}
