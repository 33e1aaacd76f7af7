// One policy as the rest of this folder needs it: what its scope can match, what it obliges to, what it reads.
import { duration } from '../core/settings.js'
import type { EntityUidJson, PolicyJson } from './cedar.js'
import type { Offer } from './decision.js'
import { cutsOf, type NumberCuts } from './number-cuts.js'
import { type PolicyUses, usesOf } from './policy-uses.js'

export interface Policy {
  /** Its `@id`. */
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly text: string
  readonly file: string
  readonly line: number
  /** Names of actions and access classes that the scope names, or null for any action. */
  readonly actions: readonly string[] | null
  /** One key of those that `principalKeys` gives; `*` for any principal. */
  readonly principalKey: string
  readonly uses: PolicyUses
  /** Between which values of the context's numbers it says the same. */
  readonly cuts: NumberCuts
  /** Obligations; all null on a forbid. */
  readonly offer: Offer
}

/** What is wrong with a policy, and a piece of its text near which it is. */
interface PolicyFault {
  readonly message: string
  readonly near: string
}

export type PolicyReading = { policy: Policy; faults: [] } | { policy: null; faults: PolicyFault[] }

const idForm = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/
/** `description` is for people; any other name would look like an obligation that nobody keeps. */
const knownAnnotations = new Set(['id', 'max_ttl', 'approval', 'approval_timeout', 'binding', 'description'])
const obligations = ['max_ttl', 'approval', 'approval_timeout', 'binding']
/** Longer than this nobody's answer is awaited: the ledger keeps approvals for two days at most. */
const longestApprovalSeconds = 86_400

/**
 * Reads what Cedar parsed. `groups` are the names of the configuration, `approved` the actions and access classes of grants that
 * demand an approval whatever the permit says.
 */
export function readPolicy(
  json: PolicyJson,
  source: { text: string; file: string; line: number },
  groups: Pick<ReadonlySet<string>, 'has'>,
  approved: Pick<ReadonlySet<string>, 'has' | 'size'> = new Set(),
): PolicyReading {
  const faults: PolicyFault[] = []
  const refuse = (near: string, message: string) => faults.push({ near, message })
  const annotations = json.annotations ?? {}
  const actions = actionsOf(json)
  for (const name of Object.keys(annotations)) {
    if (!knownAnnotations.has(name)) {
      refuse(`@${name}`, `@${name} is unknown; expected one of ${[...knownAnnotations].join(', ')}`)
    } else if (obligations.includes(name)) {
      const idle = whereIdle(json, actions)
      if (idle !== null) refuse(`@${name}`, `@${name} on ${idle}`)
    }
  }
  const id = annotations.id ?? ''
  if (!Object.hasOwn(annotations, 'id')) refuse('', 'expected an @id')
  else if (!idForm.test(id)) refuse('@id', 'expected an @id of at most 128 characters [A-Za-z0-9._:/-]')

  const uses = usesOf(json)
  for (const group of uses.groups) {
    if (!groups.has(group)) refuse(JSON.stringify(group), `Group::${JSON.stringify(group)} is not in groups:`)
  }
  const offer = readOffer(id, annotations, groups, refuse)
  if (json.effect === 'permit' && actions === null && reachesOperators(json)) {
    refuse('action', 'reaches operate.* without naming one; expected the actions that it permits')
  }
  const timesGrant = actions === null ? approved.size > 0 : actions.some((name) => approved.has(name))
  if (offer.approvalTimeoutSeconds !== undefined && offer.approval === null && !timesGrant) {
    refuse('@approval_timeout', 'nothing here needs an approval; expected @approval beside it')
  }
  if (faults.length > 0) return { policy: null, faults }
  const principalKey = principalKeyOf(json)
  const cuts = cutsOf(json)
  return { policy: { ...source, id, effect: json.effect, actions, principalKey, uses, cuts, offer }, faults: [] }
}

/** Where nothing reads an obligation it would look like a bound and be none. */
function whereIdle({ effect }: PolicyJson, actions: readonly string[] | null): string | null {
  if (effect === 'forbid') return 'a forbid has no effect; expected it on a permit'
  if (!actions?.some((name) => name.startsWith('operate.'))) return null
  return 'a permit of operate.* has no effect; expected it on a permit of what workloads ask for'
}

function readOffer(
  policy: string,
  annotations: Readonly<Record<string, string | null>>,
  groups: Pick<ReadonlySet<string>, 'has'>,
  refuse: (near: string, message: string) => void,
): Offer {
  const text = (name: string) => (Object.hasOwn(annotations, name) ? (annotations[name] ?? '') : null)
  const maxTtl = text('max_ttl')
  const seconds = maxTtl === null ? null : duration.safeParse(maxTtl)
  if (seconds !== null && (!seconds.success || seconds.data < 1)) {
    refuse('@max_ttl', 'expected @max_ttl with a duration such as "15m"')
  }
  const binding = text('binding')
  if (binding !== null && !isBinding(binding)) refuse('@binding', 'expected @binding with "dpop", "mtls" or "any"')
  const approvalText = text('approval')
  const approval = approvalText === null ? null : /^([a-z][a-z0-9_-]*):([1-9][0-9]?)$/.exec(approvalText)
  if (approvalText !== null && approval === null) refuse('@approval', 'expected @approval with "group:count"')
  const group = approval?.[1]
  if (group !== undefined && !groups.has(group)) refuse('@approval', `group ${JSON.stringify(group)} is not in groups:`)
  const timeoutText = text('approval_timeout')
  const timeout = timeoutText === null ? null : duration.safeParse(timeoutText)
  if (timeout !== null && (!timeout.success || timeout.data < 1 || timeout.data > longestApprovalSeconds)) {
    refuse('@approval_timeout', 'expected @approval_timeout with a duration up to a day, such as "10m"')
  }
  return {
    policy,
    maxTtlSeconds: seconds?.success ? seconds.data : null,
    approval: group === undefined ? null : { group, count: Number(approval?.[2]) },
    binding: binding !== null && isBinding(binding) ? binding : null,
    ...(timeout?.success ? { approvalTimeoutSeconds: timeout.data } : {}),
  }
}

function isBinding(text: string): text is 'dpop' | 'mtls' | 'any' {
  return text === 'dpop' || text === 'mtls' || text === 'any'
}

/** Only operators can take operate.*: a scope that is for workloads cannot reach them. */
function reachesOperators(json: PolicyJson): boolean {
  const principal = json.principal
  if (principal.op === 'is') return principal.entity_type !== 'Workload'
  if (principal.op === '==' && 'entity' in principal) return uidOf(principal.entity).type !== 'Workload'
  return true
}

function actionsOf(json: PolicyJson): string[] | null {
  const action = json.action
  if (action.op === 'All') return null
  if ('entities' in action) return action.entities.map((entity) => uidOf(entity).id)
  return 'entity' in action ? [uidOf(action.entity).id] : null
}

function principalKeyOf(json: PolicyJson): string {
  const principal = json.principal
  if (principal.op === 'All') return '*'
  const within = principal.op === 'is' ? principal.in : principal
  if (within !== undefined && 'entity' in within) return entityKey(uidOf(within.entity))
  return principal.op === 'is' ? typeKey(principal.entity_type) : '*'
}

function uidOf(entity: EntityUidJson): { type: string; id: string } {
  return '__entity' in entity ? entity.__entity : entity
}

function entityKey(uid: { type: string; id: string }): string {
  return `${uid.type}::${JSON.stringify(uid.id)}`
}

function typeKey(type: string): string {
  return `is ${type}`
}

/** Every key under which a policy's principal scope can match this principal. */
export function principalKeys(
  type: 'Workload' | 'Operator',
  id: string,
  issuer: string,
  groups: readonly string[],
): string[] {
  return [
    '*',
    typeKey(type),
    entityKey({ type: 'Issuer', id: issuer }),
    ...groups.map((group) => entityKey({ type: 'Group', id: group })),
    entityKey({ type, id }),
  ]
}
