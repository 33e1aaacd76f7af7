// A policy taken apart into what must hold for it to apply: its scope, and each condition at the top of its conditions.
import { type EntityUidJson, type PolicyJson, policyToText } from './cedar.js'

export interface PolicyPart {
  readonly kind: 'principal' | 'action' | 'resource' | 'condition'
  /** As Cedar writes it. */
  readonly text: string
  /** A permit of this part alone, for Cedar to say whether it holds. */
  readonly alone: PolicyJson
  /** What it reads, from `principal`, `resource` or `context` on. */
  readonly reads: readonly (readonly string[])[]
}

/** What every request meets. */
export const anything = {
  effect: 'permit',
  annotations: {},
  principal: { op: 'All' },
  action: { op: 'All' },
  resource: { op: 'All' },
  conditions: [],
} as const satisfies PolicyJson

/** In the order in which Cedar looks at them. A part that any request meets is left out. */
export function partsOf(json: PolicyJson): PolicyPart[] {
  const scope = (['principal', 'action', 'resource'] as const).flatMap((kind): PolicyPart[] => {
    if (json[kind].op === 'All') return []
    return [{ kind, text: scopeText(kind, json[kind]), alone: { ...anything, [kind]: json[kind] }, reads: [] }]
  })
  const conditions = conjunctsOf(json).map((body): PolicyPart => {
    const alone: PolicyJson = { ...anything, conditions: [{ kind: 'when', body }] }
    return { kind: 'condition', text: conditionText(alone), alone, reads: pathsIn(body) }
  })
  return [...scope, ...conditions]
}

type Body = PolicyJson['conditions'][number]['body']

/** What `when` joins by `&&`, and `unless` by `||`: each must hold, the latter's negated. */
export function conjunctsOf(json: PolicyJson): Body[] {
  return json.conditions.flatMap(({ kind, body }) =>
    kind === 'when' ? split(body, '&&') : split(body, '||').map((one): Body => ({ '!': { arg: one } })),
  )
}

function split(body: Body, by: '&&' | '||'): Body[] {
  const sides = (body as Record<string, unknown>)[by] as { left: Body; right: Body } | undefined
  return sides === undefined ? [body] : [...split(sides.left, by), ...split(sides.right, by)]
}

/** What stands between the braces of `when { … }`, on one line. */
function conditionText(policy: PolicyJson): string {
  const answer = policyToText(policy)
  const text = answer.type === 'success' ? answer.text : ''
  return (/when\s*\{([\s\S]*)\}\s*;?\s*$/.exec(text)?.[1] ?? 'a condition').replace(/\s+/g, ' ').trim()
}

interface Constraint {
  readonly op: string
  readonly entity?: unknown
  readonly entities?: readonly unknown[]
  readonly entity_type?: string
  readonly in?: { readonly entity?: unknown }
}

function scopeText(name: string, constraint: PolicyJson['principal'] | PolicyJson['action']): string {
  const { op, entity, entities, entity_type: type, in: within } = constraint as Constraint
  if (entities !== undefined) return `${name} in [${entities.map(entityText).join(', ')}]`
  if (op === 'is') return `${name} is ${type}${within === undefined ? '' : ` in ${entityText(within.entity)}`}`
  return `${name} ${op} ${entityText(entity)}`
}

function entityText(entity: unknown): string {
  const uid = entity as EntityUidJson
  const { type, id } = '__entity' in uid ? uid.__entity : uid
  return `${type}::${JSON.stringify(id)}`
}

/** Every `a.b.c` and `a.b has c` in it, the longest of each. */
function pathsIn(node: unknown): string[][] {
  if (typeof node !== 'object' || node === null) return []
  const paths = Object.entries(node).flatMap(([kind, body]): string[][] => {
    const path = kind === '.' || kind === 'has' ? pathOf(body) : null
    return path === null ? pathsIn(body) : [path]
  })
  return [...new Map(paths.map((path) => [path.join('.'), path])).values()]
}

function pathOf(access: unknown): string[] | null {
  const { left, attr } = access as { left?: Record<string, unknown>; attr?: string | string[] }
  const names = [attr ?? []].flat()
  if (typeof left?.Var === 'string') return [left.Var, ...names]
  const inner = left === undefined || left['.'] === undefined ? null : pathOf(left['.'])
  return inner === null ? null : [...inner, ...names]
}
