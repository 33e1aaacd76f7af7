// `policy check`: permits that change nothing, because an unconditional forbid takes all that they match or another permit gives
// it on terms as easy. Told by the text alone: what is not found here may still be so.
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { type PolicyJson, policyToJson } from './cedar.js'
import type { Offer } from './decision.js'
import type { Policy } from './policy.js'
import { conjunctsOf } from './policy-parts.js'
import type { PolicyProblem, PolicySet } from './policy-set.js'

interface Shape {
  readonly policy: Policy
  readonly json: PolicyJson
  /** Every condition that must hold, in one spelling. */
  readonly conditions: ReadonlySet<string>
}

/** Warnings in the order of the set. `accessOf`: action → access class. */
export function checkShadows(set: PolicySet, accessOf: ReadonlyMap<string, string>): PolicyProblem[] {
  const shapes = set.policies.flatMap(shapeOf)
  const byAction = new Map<string, Shape[]>()
  for (const shape of shapes) {
    for (const name of shape.policy.actions ?? ['*']) byAction.set(name, [...(byAction.get(name) ?? []), shape])
  }
  return shapes.flatMap((shape): PolicyProblem[] => {
    if (shape.policy.effect !== 'permit') return []
    const first = shape.policy.actions?.[0]
    const names = first === undefined ? ['*'] : [first, accessOf.get(first) ?? '', '*']
    const rivals = names.flatMap((name) => byAction.get(name) ?? [])
    const found = rivals.find((rival) => rival !== shape && isShadowedBy(shape, rival, accessOf, shapes))
    if (found === undefined) return []
    const { file, line } = shape.policy
    return [{ file, line, column: 1, message: messageOf(shape.policy, found.policy) }]
  })
}

function shapeOf(policy: Policy): Shape[] {
  const answer = policyToJson(policy.text)
  if (answer.type === 'failure') return []
  const conditions = new Set(conjunctsOf(answer.json).map((body) => canonicalJson(body as unknown as Json)))
  return [{ policy, json: answer.json, conditions }]
}

type Access = ReadonlyMap<string, string>

function isShadowedBy(shape: Shape, rival: Shape, accessOf: Access, order: readonly Shape[]): boolean {
  if (!covers(rival, shape, accessOf)) return false
  if (rival.policy.effect === 'forbid') return true
  if (!isAsEasy(rival.policy.offer, shape.policy.offer)) return false
  // Of two that are the same the earlier one stays.
  const isSame = covers(shape, rival, accessOf) && isAsEasy(shape.policy.offer, rival.policy.offer)
  return !isSame || order.indexOf(rival) < order.indexOf(shape)
}

/** Whether `wide` matches every request that `narrow` matches. */
function covers(wide: Shape, narrow: Shape, accessOf: Access): boolean {
  return (
    coversActions(wide.policy.actions, narrow.policy.actions, accessOf) &&
    coversScope(wide.json.principal, narrow.json.principal) &&
    coversScope(wide.json.resource, narrow.json.resource) &&
    [...wide.conditions].every((condition) => narrow.conditions.has(condition))
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

function coversScope(one: PolicyJson['principal'], other: PolicyJson['principal']): boolean {
  const [wide, narrow] = [one as Constraint, other as Constraint]
  if (wide.op === 'All' || isSame(wide, narrow)) return true
  if (wide.op === 'is' && wide.in === undefined) {
    const { entity, entity_type: type } = narrow
    return (
      (narrow.op === 'is' && type === wide.entity_type) || (narrow.op === '==' && typeOf(entity) === wide.entity_type)
    )
  }
  return wide.op === 'in' && narrow.op === 'is' && narrow.in !== undefined && isSame(wide.entity, narrow.in.entity)
}

const isSame = (one: unknown, other: unknown) => canonicalJson(one as Json) === canonicalJson(other as Json)

const typeOf = (entity: unknown) =>
  (entity as { type?: string; __entity?: { type: string } }).__entity?.type ?? (entity as { type?: string }).type

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
