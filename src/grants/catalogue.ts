// What may be asked for at all: actions, resources and declared context. Says nothing of who may.
import { BrokerError, type FieldError } from '../core/errors.js'
import { plainText } from '../core/plain-text.js'
import type { Resource } from '../policy/decision.js'
import type { ContextField, Grant } from './grant.js'
import { bySpecificity, matchResource, type ResourceEntry } from './resource.js'

export type Declared = Readonly<Record<string, string | number | boolean>>

export interface Catalogue {
  readonly grants: Readonly<Record<string, Grant>>
  readonly resources: readonly ResourceEntry[]
  /** Throws BrokerError `unknown_action` (404). */
  resolveGrant(action: string): Grant
  /** Throws BrokerError `unknown_resource` (404) also for a resource of another type than the grant's. */
  resolveResource(id: string, grant: Grant): Resource
  /** The resource of any type, for what is not about one grant; undefined where the configuration has none. */
  findResource(id: string): Resource | undefined
}

/** Grants and resources as they were configured; both were checked when the configuration was loaded. */
export function createCatalogue(
  grants: Readonly<Record<string, Grant>>,
  resources: readonly ResourceEntry[],
): Catalogue {
  const byAction = new Map(Object.entries(grants))
  const exact = new Map(resources.filter(isExact).map((entry) => [entry.pattern, entry]))
  const patterns = resources.filter((entry) => !isExact(entry)).sort(bySpecificity)

  const findResource = (id: string): Resource | undefined => {
    const entry = exact.get(id)
    if (entry !== undefined) return { id, type: entry.type, attributes: entry.attributes }
    for (const pattern of patterns) {
      const found = matchResource(pattern, id)
      if (found !== null) return found
    }
    return undefined
  }

  return {
    grants,
    resources,
    findResource,
    resolveGrant(action) {
      const grant = byAction.get(action)
      if (grant === undefined) throw new BrokerError('unknown_action', `no grant is called ${JSON.stringify(action)}`)
      return grant
    },
    resolveResource(id, grant) {
      const resource = findResource(id)
      if (resource?.type === grant.resourceType) return resource
      const why = resource === undefined ? 'no such resource' : `${grant.action} is on a ${grant.resourceType}`
      const hint = id === id.toLowerCase() ? '' : '; resource ids are lower case'
      throw new BrokerError('unknown_resource', `${JSON.stringify(id)}: ${why}${hint}`)
    },
  }
}

function isExact(entry: ResourceEntry): boolean {
  return entry.placeholders.length === 0
}

/**
 * Checks what the caller declares against what the grant lists, and returns it typed.
 * Throws BrokerError `invalid_request` (400) naming every wrong `context.<field>`.
 */
export function checkContext(grant: Grant, context: Readonly<Record<string, unknown>>): Declared {
  const errors: FieldError[] = []
  const declared: Record<string, string | number | boolean> = {}
  for (const name of Object.keys(context)) {
    if (!Object.hasOwn(grant.context, name)) {
      errors.push({ field: `context.${name}`, message: `${grant.action} takes no such field` })
    }
  }
  for (const [name, field] of Object.entries(grant.context)) {
    const value = Object.hasOwn(context, name) ? context[name] : undefined
    if (value === undefined) {
      if (!field.optional) errors.push({ field: `context.${name}`, message: 'is required' })
      continue
    }
    const message = problemOf(field, value)
    if (message === null) declared[name] = value as string | number | boolean
    else errors.push({ field: `context.${name}`, message })
  }
  const first = errors[0]
  if (first !== undefined) throw new BrokerError('invalid_request', `${first.field}: ${first.message}`, { errors })
  return declared
}

function problemOf(field: ContextField, value: unknown): string | null {
  const type = field.type === 'integer' ? 'number' : field.type
  // Cedar's Long is exact; a number beyond 2^53 would not arrive as it was sent.
  if (typeof value !== type || (field.type === 'integer' && !Number.isSafeInteger(value))) {
    return `expected ${field.type === 'integer' ? 'an integer' : `a ${field.type}`}`
  }
  if (typeof value === 'string') {
    // Length first: patterns are the operator's own, and a bounded text keeps the worst of them cheap.
    if (value.length > 256) return 'expected at most 256 characters'
    // People approve by what they read: a value must not read otherwise than it is. What is listed the operator wrote.
    if (field.oneOf === null && plainText(value) !== value)
      return 'expected no control, invisible or direction-changing characters'
    if (field.pattern !== null && !field.pattern.test(value)) return 'does not have the expected form'
  }
  if (field.oneOf !== null && !field.oneOf.some((allowed) => allowed === value)) {
    return `expected one of ${field.oneOf.join(', ')}`
  }
  return null
}
