// The literal values that a policy compares something of the request with, wherever in its conditions they stand.
import type { PolicyJson } from './cedar.js'

export interface Literal {
  /** `context.session.granted`, `principal.ref`. */
  readonly path: string
  readonly how: 'equals' | 'contains'
  readonly values: readonly unknown[]
}

type Node = Record<string, unknown>

export function literalsOf(json: PolicyJson): Literal[] {
  return json.conditions.flatMap(({ body }) => literalsIn(body))
}

export function literalsIn(node: unknown): Literal[] {
  if (Array.isArray(node)) return node.flatMap(literalsIn)
  if (!isNode(node)) return []
  return Object.entries(node).flatMap(([kind, body]) => {
    const inner = literalsIn(body)
    if (!isNode(body)) return inner
    if (kind === '==') return [...compared(body.left, body.right), ...inner]
    const isSetTest = kind === 'contains' || kind === 'containsAny' || kind === 'containsAll'
    return isSetTest ? [...contained(body.left, body.right), ...inner] : inner
  })
}

function compared(left: unknown, right: unknown): Literal[] {
  const path = pathText(left) ?? pathText(right)
  const value = valuesOf(pathText(left) === null ? left : right)
  return path === null || value === null ? [] : [{ path, how: 'equals', values: value }]
}

/** `context.x.contains("a")`, or `["a", "b"].contains(context.x)`, which compares with one of them. */
function contained(left: unknown, right: unknown): Literal[] {
  const [set, member] = [pathText(left), pathText(right)]
  const [listed, values] = [valuesOf(left), valuesOf(right)]
  if (set !== null && values !== null) return [{ path: set, how: 'contains', values }]
  return member !== null && listed !== null ? [{ path: member, how: 'equals', values: listed }] : []
}

export function pathText(node: unknown): string | null {
  if (!isNode(node)) return null
  if (typeof node.Var === 'string') return node.Var
  const access = node['.']
  if (!isNode(access)) return null
  const left = pathText(access.left)
  return left === null ? null : [left, ...[access.attr].flat()].join('.')
}

/** The literals of a value or of a set of values; null where any of it is no literal. */
function valuesOf(node: unknown): readonly unknown[] | null {
  if (!isNode(node)) return null
  if (Object.hasOwn(node, 'Value')) return [node.Value]
  if (!Array.isArray(node.Set)) return null
  const members = node.Set.map(valuesOf)
  return members.every((member) => member !== null) ? members.flat() : null
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
