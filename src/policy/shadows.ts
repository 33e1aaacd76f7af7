// `policy check`: permits that change nothing, because an unconditional forbid takes all that they match or another permit gives
// it on terms as easy. Told by the text alone: what is not found here may still be so.
import { canonicalJson, type Json } from '../core/canonical-json.js'
import type { PolicyJson } from './cedar.js'
import type { Offer } from './decision.js'
import type { Policy } from './policy.js'
import { jsonOf } from './policy-json.js'
import { conjunctsOf } from './policy-parts.js'
import type { PolicyProblem, PolicySet } from './policy-set.js'

/** A scope as it is compared: each pair of policies is, so nothing is computed then. */
interface Scope {
  readonly op: string
  /** In one spelling. */
  readonly whole: string
  readonly entity: string
  readonly entityType: string | undefined
  /** Of `is … in …`. */
  readonly within: string | null
}

interface Shape {
  readonly policy: Policy
  readonly index: number
  readonly principal: Scope
  readonly resource: Scope
  /** Every condition that must hold, in one spelling. */
  readonly conditions: ReadonlySet<string>
}

/** Warnings in the order of the set. `accessOf`: action → access class. */
export function checkShadows(set: PolicySet, accessOf: ReadonlyMap<string, string>): PolicyProblem[] {
  const shapes = set.policies.flatMap(shapeOf)
  const byAction = new Map<string, Shape[]>()
  for (const shape of shapes) {
    for (const name of shape.policy.actions ?? ['*']) {
      const sharing = byAction.get(name)
      if (sharing === undefined) byAction.set(name, [shape])
      else sharing.push(shape)
    }
  }
  return shapes.flatMap((shape): PolicyProblem[] => {
    if (shape.policy.effect !== 'permit') return []
    const first = shape.policy.actions?.[0]
    const names = first === undefined ? ['*'] : [first, accessOf.get(first) ?? '', '*']
    const rivals = names.flatMap((name) => byAction.get(name) ?? [])
    const found = rivals.find((rival) => rival !== shape && isShadowedBy(shape, rival, accessOf))
    if (found === undefined) return []
    const { file, line } = shape.policy
    return [{ file, line, column: 1, message: messageOf(shape.policy, found.policy) }]
  })
}

function shapeOf(policy: Policy, index: number): Shape[] {
  const json = jsonOf(policy)
  if (json === null) return []
  const conditions = new Set(conjunctsOf(json).map((body) => canonicalJson(body as unknown as Json)))
  const { principal, resource } = json
  return [{ policy, index, principal: scopeOf(principal), resource: scopeOf(resource), conditions }]
}

function scopeOf(constraint: PolicyJson['principal']): Scope {
  const { op, entity, entity_type: type, in: within } = constraint as Constraint
  const spelled = (value: unknown) => canonicalJson((value ?? null) as Json)
  return {
    op,
    whole: spelled(constraint),
    entity: spelled(entity),
    entityType: type ?? typeOf(entity),
    within: within === undefined ? null : spelled(within.entity),
  }
}

type Access = ReadonlyMap<string, string>

function isShadowedBy(shape: Shape, rival: Shape, accessOf: Access): boolean {
  if (!covers(rival, shape, accessOf)) return false
  if (rival.policy.effect === 'forbid') return true
  if (!isAsEasy(rival.policy.offer, shape.policy.offer)) return false
  // Of two that are the same the earlier one stays.
  const isSame = covers(shape, rival, accessOf) && isAsEasy(shape.policy.offer, rival.policy.offer)
  return !isSame || rival.index < shape.index
}

/** Whether `wide` matches every request that `narrow` matches. */
function covers(wide: Shape, narrow: Shape, accessOf: Access): boolean {
  if (wide.conditions.size > narrow.conditions.size) return false
  for (const condition of wide.conditions) if (!narrow.conditions.has(condition)) return false
  return (
    coversScope(wide.principal, narrow.principal) &&
    coversScope(wide.resource, narrow.resource) &&
    coversActions(wide.policy.actions, narrow.policy.actions, accessOf)
  )
}

function coversActions(wide: Policy['actions'], narrow: Policy['actions'], accessOf: Access): boolean {
  if (wide === null) return true
  return narrow?.every((name) => wide.includes(name) || wide.includes(accessOf.get(name) ?? name)) ?? false
}

interface Constraint {
  readonly op: string
  readonly entity?: unknown
  readonly entity_type?: string
  readonly in?: { readonly entity?: unknown }
}

function coversScope(wide: Scope, narrow: Scope): boolean {
  if (wide.op === 'All' || wide.whole === narrow.whole) return true
  const isTyped = narrow.op === 'is' || narrow.op === '=='
  if (wide.op === 'is' && wide.within === null) return isTyped && narrow.entityType === wide.entityType
  return wide.op === 'in' && narrow.op === 'is' && narrow.within === wide.entity
}

const typeOf = (entity: unknown) => {
  const uid = entity as { type?: string; __entity?: { type: string } } | undefined
  return uid?.__entity?.type ?? uid?.type
}

/** Whoever could take the second could take the first, and would get as much. */
function isAsEasy(first: Offer, second: Offer): boolean {
  const binding =
    first.binding === null || first.binding === second.binding || (first.binding === 'any' && second.binding !== null)
  const [mine, theirs] = [first.approval, second.approval]
  const approval = mine === null || (theirs !== null && mine.group === theirs.group && mine.count <= theirs.count)
  const ttl =
    first.maxTtlSeconds === null || (second.maxTtlSeconds !== null && first.maxTtlSeconds >= second.maxTtlSeconds)
  return binding && approval && ttl
}

function messageOf({ id, offer }: Policy, by: Policy): string {
  const where = `${by.id} (${by.file}:${by.line})`
  if (by.effect === 'forbid') return `${id} can never permit anything: ${where} forbids all that it matches`
  const obligations = [
    ...(offer.approval === null ? [] : ['@approval']),
    ...(offer.maxTtlSeconds === null ? [] : ['@max_ttl']),
    ...(offer.binding === null ? [] : ['@binding']),
  ]
  const lost =
    obligations.length === 0 || isAsEasy(offer, by.offer) ? '' : `, so its ${obligations.join(', ')} never counts`
  return `${id} changes nothing: ${where} permits all that it matches, on terms at least as easy${lost}`
}
