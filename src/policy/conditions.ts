// What a policy's conditions demand of the principal before it can apply. Only what holds on every way through counts: both
// sides of `&&`, what the two sides of `||` have in common. A demand that is missed makes a warning too many, never one too few.
import type { PolicyJson } from './cedar.js'

export interface Tests {
  /** Attribute → the literal values that it may have; null: compared with something that is no literal, or by a pattern. */
  readonly equal: ReadonlyMap<string, readonly unknown[] | null>
  /** Attribute → literal values that it must not have. */
  readonly unequal: ReadonlyMap<string, readonly unknown[]>
  /** Attributes that have to be there. */
  readonly has: ReadonlySet<string>
  /** Names of issuers and groups of which the principal has to be in one of each list. */
  readonly within: readonly { readonly type: string; readonly ids: readonly string[] }[]
}

/** `principal.<attribute> like "<pattern>"`, wherever it stands; `*` is the wildcard, other stars are `\*`. */
export interface Pattern {
  readonly attribute: string
  readonly text: string
}

type Node = Record<string, unknown>

const nothing: Tests = { equal: new Map(), unequal: new Map(), has: new Set(), within: [] }

/** What has to hold for the policy's conditions to hold, scope aside. */
export function testsOf(json: PolicyJson): Tests {
  return json.conditions.map(({ kind, body }) => demand(body, kind === 'when')).reduce(both, nothing)
}

/** Every pattern that the conditions compare an attribute of the principal with. */
export function patternsOf(json: PolicyJson): Pattern[] {
  return json.conditions.flatMap(({ kind, body }) => (kind === 'when' ? findPatterns(body) : []))
}

/** What must hold where `node` is `wanted`. */
function demand(node: unknown, wanted: boolean): Tests {
  const [kind, body] = kindOf(node)
  const { left, right } = body
  switch (kind) {
    case '!':
      return demand(body.arg, !wanted)
    case '&&':
    case '||': {
      const sides: [Tests, Tests] = [demand(left, wanted), demand(right, wanted)]
      return (kind === '&&') === wanted ? both(...sides) : either(...sides)
    }
    case '==':
    case '!=':
      return compared(left, right, (kind === '==') === wanted)
    case 'contains':
      return contained(left, right, wanted)
    case '.': {
      // A flag by itself: `principal.verified`, `!principal.ssh_rerun`.
      const flag = attributeOf(node)
      return flag === null ? nothing : { ...nothing, equal: new Map([[flag, [wanted]]]) }
    }
    default:
      return wanted ? demandPositive(kind, body) : nothing
  }
}

function demandPositive(kind: string, body: Node): Tests {
  const attribute = attributeOf(kind === 'has' ? { '.': body } : body.left)
  switch (kind) {
    case 'has':
      return attribute === null ? nothing : { ...nothing, has: new Set([attribute]) }
    case 'like':
    case 'containsAny':
    case 'containsAll':
      return attribute === null ? nothing : { ...nothing, equal: new Map([[attribute, null]]) }
    case 'in':
      return isPrincipal(body.left) ? { ...nothing, within: withinOf(body.right) } : nothing
    default:
      return nothing
  }
}

function compared(left: unknown, right: unknown, isEqual: boolean): Tests {
  const attribute = attributeOf(left) ?? attributeOf(right)
  if (attribute === null) return nothing
  const other = literalOf(attributeOf(left) === null ? left : right)
  if (isEqual) return { ...nothing, equal: new Map([[attribute, other === undefined ? null : [other]]]) }
  return other === undefined ? nothing : { ...nothing, unequal: new Map([[attribute, [other]]]) }
}

/** `["a", "b"].contains(principal.x)`, or `principal.x.contains("a")` of a set. */
function contained(left: unknown, right: unknown, wanted: boolean): Tests {
  const [kind, members] = kindOf(left)
  const attribute = attributeOf(right)
  if (kind === 'Set' && Array.isArray(members) && attribute !== null) {
    const values = members.map(literalOf)
    if (!wanted) return { ...nothing, unequal: new Map([[attribute, values]]) }
    return { ...nothing, equal: new Map([[attribute, values.includes(undefined) ? null : values]]) }
  }
  return wanted ? compared(left, right, true) : nothing
}

function both(a: Tests, b: Tests): Tests {
  const equal = new Map(a.equal)
  for (const [name, values] of b.equal) {
    const before = equal.get(name)
    const isNarrower = before === undefined || before === null || (values !== null && values.length < before.length)
    if (isNarrower) equal.set(name, values)
  }
  const unequal = new Map(a.unequal)
  for (const [name, values] of b.unequal) unequal.set(name, [...(unequal.get(name) ?? []), ...values])
  return { equal, unequal, has: new Set([...a.has, ...b.has]), within: [...a.within, ...b.within] }
}

function either(a: Tests, b: Tests): Tests {
  const equal = new Map<string, readonly unknown[] | null>()
  for (const [name, values] of a.equal) {
    const others = b.equal.get(name)
    if (others !== undefined) equal.set(name, values === null || others === null ? null : [...values, ...others])
  }
  const unequal = new Map<string, readonly unknown[]>()
  for (const [name, values] of a.unequal) {
    const shared = values.filter((value) => b.unequal.get(name)?.includes(value))
    if (shared.length > 0) unequal.set(name, shared)
  }
  const [mine] = a.within
  const [theirs] = b.within
  const within = mine && theirs && mine.type === theirs.type ? [{ ...mine, ids: [...mine.ids, ...theirs.ids] }] : []
  return { equal, unequal, has: new Set([...a.has].filter((name) => b.has.has(name))), within }
}

function findPatterns(node: unknown): Pattern[] {
  if (Array.isArray(node)) return node.flatMap(findPatterns)
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([kind, body]): Pattern[] => {
    // What a negation keeps out may be as wide as it likes.
    if (kind === '!') return []
    if (kind !== 'like' || !isNode(body) || !Array.isArray(body.pattern)) return findPatterns(body)
    const attribute = attributeOf(body.left)
    const text = body.pattern.map((part: unknown) => (part === 'Wildcard' ? '*' : literalPart(part))).join('')
    return attribute === null ? [] : [{ attribute, text }]
  })
}

function literalPart(part: unknown): string {
  return isNode(part) && typeof part.Literal === 'string' ? part.Literal.replaceAll('*', '\\*') : ''
}

function withinOf(node: unknown): Tests['within'] {
  const [kind, body] = kindOf(node)
  const values = kind === 'Set' && Array.isArray(body) ? body.map(literalOf) : [literalOf(node)]
  const entities = values.flatMap((value) => (isNode(value) && isNode(value.__entity) ? [value.__entity] : []))
  const type = String(entities[0]?.type)
  if (entities.length === 0 || entities.some((entity) => entity.type !== type)) return []
  return [{ type, ids: entities.map((entity) => String(entity.id)) }]
}

function attributeOf(node: unknown): string | null {
  const [kind, body] = kindOf(node)
  if (kind !== '.' || !isPrincipal(body.left)) return null
  const [name] = [body.attr].flat()
  return typeof name === 'string' ? name : null
}

function literalOf(node: unknown): unknown {
  return isNode(node) && Object.hasOwn(node, 'Value') ? node.Value : undefined
}

function isPrincipal(node: unknown): boolean {
  return isNode(node) && node.Var === 'principal'
}

function kindOf(node: unknown): [string, Node] {
  if (!isNode(node)) return ['', {}]
  const [entry] = Object.entries(node)
  return entry === undefined ? ['', {}] : [entry[0], isNode(entry[1]) ? entry[1] : {}]
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null
}
