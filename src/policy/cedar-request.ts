// A request in Cedar's JSON. Only typed, validated fields enter (I6), and only those that some policy of the slice reads.
import { toTimestamp } from '../core/clock.js'
import type { AttributeValue, Principal } from '../identity/principal.js'
import type { CedarValueJson, Context, EntityJson } from './cedar.js'
import type { DecisionInput, Holdings, Resource } from './decision.js'
import { entityTypeOf } from './schema.js'
import type { Slice } from './slices.js'

type Reads = Pick<Slice, 'attributes' | 'context' | 'wholeContext'>

/** Workload or Operator in its Issuer and Groups. */
export function principalEntity(principal: Principal, groups: readonly string[], reads: Reads): EntityJson {
  const own = { issuer: principal.issuer, subject: principal.subject }
  const all: Record<string, AttributeValue> = { ...principal.attributes, ...own }
  if (principal.use === 'workload') all.account = principal.account
  return {
    uid: { type: principalType(principal), id: principal.id },
    attrs: readAttributes(all, reads),
    parents: [{ type: 'Issuer', id: principal.issuer }, ...groups.map((group) => ({ type: 'Group', id: group }))],
  }
}

export function principalType(principal: Pick<Principal, 'use'>): 'Workload' | 'Operator' {
  return principal.use === 'workload' ? 'Workload' : 'Operator'
}

export function resourceEntity(resource: Resource | 'broker', reads: Reads): EntityJson {
  if (resource === 'broker') return { uid: { type: 'Broker', id: 'broker' }, attrs: {}, parents: [] }
  const id = resource.id.slice(resource.type.length + 1)
  return {
    uid: { type: entityTypeOf(resource.type), id: resource.id },
    attrs: readAttributes({ ...resource.attributes, id }, reads),
    parents: [],
  }
}

/** Cedar learns the access class of an action from here: it is not given the schema again for each request. */
export function actionEntity(action: string, access: string | null): EntityJson {
  const parents = access === null ? [] : [{ type: 'Action', id: access }]
  return { uid: { type: 'Action', id: action }, attrs: {}, parents }
}

function readAttributes(all: Readonly<Record<string, AttributeValue>>, reads: Reads): Record<string, CedarValueJson> {
  const attributes: Record<string, CedarValueJson> = {}
  for (const [name, value] of Object.entries(all)) {
    if (reads.attributes.has(name)) attributes[name] = typeof value === 'object' ? [...value] : value
  }
  return attributes
}

/** The context as the generated schema has it. */
export function requestContext(input: DecisionInput, reads: Reads): Context {
  const { approval } = input
  const members: Members = {
    requested_ttl_seconds: () => input.requestedTtlSeconds,
    declared: () => ({ ...input.declared }) as CedarRecord,
    task: () => ({
      age_seconds: input.task.ageSeconds,
      depth: input.task.depth,
      active_leases: input.task.activeLeases,
    }),
    session: () => holdings(input.session),
    account: () => holdings(input.account),
    recent_denials: () => input.recentDenials,
    escalation: () => input.escalation,
    binding: () => input.binding,
    ...(approval === undefined
      ? {}
      : { approval: () => ({ group: approval.group, approvers: [...approval.approvers] }) }),
    now: () => ({ __extn: { fn: 'datetime', arg: toTimestamp(input.now) } }),
  }
  return readMembers(members, reads)
}

/** The context of operate.*: the lease's action and access class, where the target has one. */
export function operateContext(about: { action?: string; access?: string }, reads: Reads): Context {
  const { action, access } = about
  const members: Members = {}
  if (action !== undefined) members.action = () => action
  if (access !== undefined) members.access = () => access
  return readMembers(members, reads)
}

type CedarRecord = Record<string, CedarValueJson>
type Members = Record<string, () => CedarValueJson>

function readMembers(members: Members, reads: Reads): Context {
  const context: Context = {}
  for (const [name, value] of Object.entries(members)) {
    if (reads.wholeContext || reads.context.has(name)) context[name] = value()
  }
  if (reads.wholeContext) return context
  for (const path of reads.context) {
    const dot = path.indexOf('.')
    const [name, field] = [path.slice(0, dot), path.slice(dot + 1)]
    const whole = dot < 0 || reads.context.has(name) ? undefined : members[name]?.()
    if (!isRecord(whole)) continue
    // Present even when the field is not: `has` on it must find the record.
    const partial = (context[name] ?? {}) as CedarRecord
    context[name] = partial
    const value = (whole as CedarRecord)[field]
    if (value !== undefined) partial[field] = value
  }
  return context
}

function isRecord(value: CedarValueJson | undefined): value is CedarRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function holdings(held: Holdings): CedarRecord {
  return {
    active_leases: held.activeLeases,
    holding: [...held.holding],
    holding_access: [...held.holdingAccess],
    holding_resources: [...held.holdingResources],
    granted: [...held.granted],
    granted_access: [...held.grantedAccess],
    granted_resources: [...held.grantedResources],
  }
}
