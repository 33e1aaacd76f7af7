// A request that nobody made, with the world it is imagined in → what the engine decides on, by the catalogue and limits in force.
import type { SimulatedRequest } from '../api/simulate.js'
import { invalidField } from '../core/errors.js'
import { checkContext } from '../grants/catalogue.js'
import type { Grant } from '../grants/grant.js'
import type { Principal } from '../identity/principal.js'
import type { HolderLook } from '../ledger/way-out.js'
import { typeOfValue } from '../policy/schema.js'
import { holdingsOf, isEscalation } from './holders.js'
import { type ImaginedLease, imaginedLook } from './imagined-looks.js'
import type { Rules } from './parts.js'
import type { DecisionBasis } from './recorded-decision.js'

export type SimulatedRules = Pick<Rules, 'catalogue' | 'limits' | 'policy' | 'issuerTypes'>

/** What a simulation needs beside the request. */
export interface SimulatedWorld {
  readonly rules: SimulatedRules
  /** The provider's floor for this grant, in seconds. */
  minTtlSecondsOf(grant: Grant): number
  /** Epoch milliseconds. */
  readonly now: number
}

/** Throws `unknown_action`, `unknown_resource` (404) and `invalid_request` (400), as the exchange would. */
export function resolveSimulated(
  { rules, minTtlSecondsOf, now }: SimulatedWorld,
  request: SimulatedRequest,
): DecisionBasis {
  const { catalogue, limits, policy } = rules
  const grant = catalogue.resolveGrant(request.action)
  const declared = checkContext(grant, request.context)
  const resource = catalogue.resolveResource(request.resource, grant)
  const minTtlSeconds = minTtlSecondsOf(grant)
  const asked = request.ttl_seconds ?? grant.ttl.defaultSeconds
  if (asked < minTtlSeconds) throw invalidField('request.ttl_seconds', `expected at least ${minTtlSeconds}`)
  const ttlSeconds = Math.min(asked, grant.ttl.maxSeconds, limits.lease.ttl)
  const looks = looksOf(rules, request)
  const principal = principalOf(rules, request)
  const input = {
    principal,
    action: grant.action,
    resource,
    requestedTtlSeconds: ttlSeconds,
    declared,
    task: {
      ageSeconds: request.task.age_seconds,
      depth: request.task.depth,
      activeLeases: request.task.active_leases,
    },
    session: holdingsOf(looks, 'session'),
    account: holdingsOf(looks, 'account'),
    recentDenials: request.recent_denials,
    escalation: request.escalation ?? isEscalation(looks, { access: grant.access, resource, ttlSeconds }),
    binding: request.binding,
    now: request.now === undefined ? now : Date.parse(request.now),
  }
  const standing = policy.standingOf(input)
  return {
    input,
    bounds: {
      ttlSeconds: Math.min(ttlSeconds, request.task.ends_in_seconds),
      minTtlSeconds,
      binding: request.binding,
      require: grant.require,
    },
    standing: { ...standing, groups: [...(request.principal.groups ?? standing.groups)].sort() },
    above: [],
    ceilings: [],
  }
}

function principalOf(rules: SimulatedRules, { principal, binding }: SimulatedRequest): Principal {
  const { issuer, subject, attributes, account, instance = null } = principal
  const types = Object.hasOwn(rules.issuerTypes, issuer) ? rules.issuerTypes[issuer] : undefined
  if (types === undefined) throw invalidField('request.principal.issuer', `${issuer} is not in issuers:`)
  if (types.use !== 'workload') throw invalidField('request.principal.issuer', `${issuer} is for operators`)
  for (const [name, value] of Object.entries(attributes)) {
    const field = `request.principal.attributes.${name}`
    const type = Object.hasOwn(types.attributes, name) ? types.attributes[name] : undefined
    if (type === undefined) throw invalidField(field, `${issuer} gives no such attribute`)
    if (type !== typeOfValue(value)) throw invalidField(field, `expected ${type}, as ${issuer} gives it`)
  }
  const id = `${issuer}:${subject}`
  return {
    id,
    issuer,
    subject,
    use: 'workload',
    attributes,
    account: account ?? id,
    instance,
    sessionSeconds: 0,
    binding,
    person: null,
    tokenSha256: '',
    tokenExpiresAt: 0,
  }
}

/** The looks that the ledger would give. The session is part of its account, and what is held was granted. */
function looksOf(rules: SimulatedRules, { held, granted }: SimulatedRequest): HolderLook[] {
  const known = (where: string, leases: SimulatedRequest['held']['session']) =>
    leases.map((lease, index): ImaginedLease => knownLease(rules, `request.${where}.${index}`, lease))
  const heldBySession = known('held.session', held.session)
  const grantedToSession = [...heldBySession, ...known('granted.session', granted.session)]
  const heldByAccount = [...heldBySession, ...known('held.account', held.account)]
  const others = [...heldByAccount.slice(heldBySession.length), ...known('granted.account', granted.account)]
  return [
    imaginedLook('session', heldBySession, grantedToSession),
    imaginedLook('account', heldByAccount, [...grantedToSession, ...others]),
  ]
}

function knownLease(
  { catalogue }: SimulatedRules,
  field: string,
  { action, resource: id, ttl_seconds }: SimulatedRequest['held']['session'][number],
): ImaginedLease {
  const grant = Object.hasOwn(catalogue.grants, action) ? catalogue.grants[action] : undefined
  if (grant === undefined) throw invalidField(`${field}.action`, `no grant is called ${JSON.stringify(action)}`)
  const resource = catalogue.findResource(id)
  if (resource?.type !== grant.resourceType) throw invalidField(`${field}.resource`, `is no ${grant.resourceType}`)
  return { action, access: grant.access, resource, ttlSeconds: ttl_seconds ?? grant.ttl.defaultSeconds }
}
