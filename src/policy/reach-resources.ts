// Whether anything of the configuration is the resource that a permit is for.
import type { PolicyJson } from './cedar.js'
import { literalsIn, pathText } from './literals.js'
import { conjunctsOf } from './policy-parts.js'
import type { Doubt, ReachFacts } from './reach-facts.js'
import { entityTypeOf } from './schema.js'

/** A test of one attribute that has to hold. */
interface Wanted {
  readonly attribute: string
  /** Null: it only has to be there. */
  readonly values: readonly unknown[] | null
}

export function resourceDoubts(json: PolicyJson, grants: ReachFacts['grants'], facts: ReachFacts): Doubt[] {
  const scope = json.resource as {
    op: string
    entity?: { type?: string; id?: string; __entity?: { type: string; id: string } }
    entity_type?: string
  }
  const uid = scope.entity?.__entity ?? scope.entity
  if (uid !== undefined && uid.type !== 'Broker' && facts.findResource(uid.id ?? '') === undefined) {
    return [
      {
        near: JSON.stringify(uid.id),
        message: `permits nothing: ${JSON.stringify(uid.id)} is no resource of the configuration`,
      },
    ]
  }
  // Operators are judged on the Broker and on everything.
  if (grants.length === 0) return []
  const types = new Set(grants.map(({ resourceType }) => resourceType))
  const one = uid === undefined ? undefined : facts.findResource(uid.id ?? '')
  const entries = one === undefined ? facts.resources : [{ ...one, placeholders: [] }]
  const candidates = entries.filter(
    ({ type }) => types.has(type) && (scope.op !== 'is' || scope.entity_type === entityTypeOf(type)),
  )
  const wanted = conjunctsOf(json).flatMap(wantedIn)
  const missed = wanted.find((one) => !candidates.some((entry) => meets(entry, one)))
  if (missed !== undefined) return [doubtOf(missed)]
  if (wanted.length === 0 || candidates.some((entry) => wanted.every((one) => meets(entry, one)))) return []
  const names = [...new Set(wanted.map(({ attribute }) => attribute))].join(', ')
  return [
    {
      near: wanted[0]?.attribute ?? '',
      message: `permits nothing: no resource of the configuration meets all that it asks of ${names}`,
    },
  ]
}

function doubtOf({ attribute, values }: Wanted): Doubt {
  const what =
    values === null
      ? `has ${attribute}`
      : `has ${attribute} ${values.map((value) => JSON.stringify(value)).join(' or ')}`
  return {
    near: values === null ? attribute : JSON.stringify(values[0]),
    message: `permits nothing: no resource of the configuration that it reaches ${what}`,
  }
}

/** `resource has a`, `resource.a == "x"`, `["x", "y"].contains(resource.a)`; anything else is not looked at. */
function wantedIn(body: unknown): Wanted[] {
  const node = body as Record<string, { left?: unknown; attr?: unknown }>
  const [kind] = Object.keys(node)
  if (kind === 'has' && pathText(node.has?.left) === 'resource') {
    const [attribute] = [node.has?.attr].flat()
    return typeof attribute === 'string' ? [{ attribute, values: null }] : []
  }
  if (kind !== '==' && kind !== 'contains') return []
  return literalsIn(body).flatMap(({ path, how, values }) => {
    const [root, attribute, ...deeper] = path.split('.')
    const isPlain = root === 'resource' && attribute !== undefined && attribute !== 'id' && deeper.length === 0
    return isPlain && how === 'equals' && values.every((value) => typeof value !== 'object')
      ? [{ attribute, values }]
      : []
  })
}

function meets(entry: ReachFacts['resources'][number], { attribute, values }: Wanted): boolean {
  // A placeholder takes whatever the id has there.
  if (attribute === 'id' || entry.placeholders.includes(attribute)) return true
  if (!Object.hasOwn(entry.attributes, attribute)) return false
  return values === null || values.includes(entry.attributes[attribute])
}
