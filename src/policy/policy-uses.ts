// What a policy reads. Two things rest on it: entities and context are handed to Cedar without what no policy of the
// slice reads (most of a decision's cost is carrying them), and `policy check` sees which declared values are tested.
import type { PolicyJson } from './cedar.js'

export interface PolicyUses {
  /** Every attribute name that is read or asked for with `has`, of whatever. */
  readonly attributes: ReadonlySet<string>
  /** What of the context is read: `session.granted`, or `session` where all of it is. */
  readonly context: ReadonlySet<string>
  /** The context is used as a value of its own, so all of it must be there. */
  readonly wholeContext: boolean
  /** Fields of `context.declared` that are tested; null for all of them (it is used as a whole). */
  readonly declared: ReadonlySet<string> | null
  readonly groups: ReadonlySet<string>
}

interface Found {
  attributes: Set<string>
  context: Set<string>
  wholeContext: boolean
  declared: Set<string>
  wholeDeclared: boolean
  groups: Set<string>
}

/** Reads scope and conditions. What it does not know it walks through, so that nothing read is ever missed. */
export function usesOf(json: PolicyJson): PolicyUses {
  const found: Found = {
    attributes: new Set(),
    context: new Set(),
    wholeContext: false,
    declared: new Set(),
    wholeDeclared: false,
    groups: new Set(),
  }
  noteGroups([json.principal, json.resource], found)
  for (const clause of json.conditions) walk(clause.body, found)
  return {
    attributes: found.attributes,
    context: found.context,
    wholeContext: found.wholeContext,
    declared: found.wholeDeclared || found.wholeContext ? null : found.declared,
    groups: found.groups,
  }
}

function walk(node: unknown, found: Found): void {
  if (Array.isArray(node)) for (const item of node) walk(item, found)
  if (!isObject(node) || Array.isArray(node)) return
  for (const [kind, body] of Object.entries(node)) {
    if (kind === 'Value') noteGroups(body, found)
    else if (kind === 'Var') found.wholeContext ||= body === 'context'
    // The members of a record are named by the policy's author: `{ Var: … }` there is no variable.
    else if (kind === 'Record' && isObject(body)) for (const member of Object.values(body)) walk(member, found)
    else if ((kind === '.' || kind === 'has') && isObject(body)) walkAccess(body, found)
    else walk(body, found)
  }
}

function walkAccess(body: Record<string, unknown>, found: Found): void {
  const path = pathOf(body)
  for (const name of path?.slice(1) ?? namesOf(body.attr)) found.attributes.add(name)
  if (path === null) walk(body.left, found)
  const [root, member, field] = path ?? []
  if (root !== 'context' || member === undefined) return
  // The outermost access is seen first: a path that stops at the member uses the whole of it.
  found.context.add(field === undefined ? member : `${member}.${field}`)
  if (member === 'declared' && field !== undefined) found.declared.add(field)
  else if (member === 'declared') found.wholeDeclared = true
}

/** `context.declared.branch` → ['context', 'declared', 'branch']; null where the root is no variable. */
export function pathOf(access: Record<string, unknown>): string[] | null {
  const left = access.left
  if (!isObject(left)) return null
  const names = namesOf(access.attr)
  if (typeof left.Var === 'string') return [left.Var, ...names]
  const inner = left['.']
  const path = isObject(inner) ? pathOf(inner) : null
  return path === null ? null : [...path, ...names]
}

function namesOf(attr: unknown): string[] {
  return (Array.isArray(attr) ? attr : [attr]).filter((name) => typeof name === 'string')
}

/** Entities stand in scopes and in values, as `{type, id}` with or without `__entity` around. */
function noteGroups(value: unknown, found: Found): void {
  if (Array.isArray(value)) for (const item of value) noteGroups(item, found)
  if (!isObject(value)) return
  if (value.type === 'Group' && typeof value.id === 'string') found.groups.add(value.id)
  for (const member of Object.values(value)) noteGroups(member, found)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
