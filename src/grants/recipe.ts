// Placeholders of recipes and of `env:`. They are filled inside values that are already parsed, with whole tokens only,
// so that no value can add a path segment, a policy statement or another key (I6).
import type { Json } from '../core/canonical-json.js'
import { BrokerError } from '../core/errors.js'
import type { SettingProblem } from '../core/settings.js'
import type { Resource } from '../policy/decision.js'
import type { Grant } from './grant.js'
import type { ResourceEntry } from './resource.js'

export type Recipe = Grant['recipe']

export interface RecipeValues {
  readonly resource: Resource
  readonly declared: Readonly<Record<string, Json>>
  readonly task: { readonly id: string }
}

const token = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/
// Every `${` is found, also one that is never closed: what we cannot read must not pass as text.
const placeholder = /\$\{([^}]*)(\}?)/g

/** What a placeholder stands for: a text, or why there is none. */
type Lookup = (name: string) => { text: string } | { problem: string }

/**
 * The recipe with every placeholder filled. Throws BrokerError `unfillable_recipe` (422), naming the placeholder and
 * never its value. Keys are never filled.
 */
export function fillRecipe(template: Recipe, values: RecipeValues): Recipe {
  const lookup: Lookup = (name) => {
    if (name === 'task.id') return asToken(values.task.id)
    const [source, member] = splitName(name)
    if (source === 'resource') return asToken(resourceMember(values.resource, member))
    if (source === 'declared') return asToken(ownMember(values.declared, member))
    return { problem: 'is no placeholder' }
  }
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fillValue(value ?? null, lookup)]))
}

function fillValue(value: Json, lookup: Lookup): Json {
  if (typeof value === 'string') return fillText(value, lookup)
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item: Json) => fillValue(item, lookup))
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, fillValue(member ?? null, lookup)]))
}

function fillText(text: string, lookup: Lookup): string {
  return text.replace(placeholder, (whole, name: string, end: string) => {
    const found = end === '' ? { problem: 'is not closed' } : lookup(name)
    if ('problem' in found) throw new BrokerError('unfillable_recipe', `${whole} ${found.problem}`)
    return found.text
  })
}

function splitName(name: string): [string, string] {
  const dot = name.indexOf('.')
  return dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot + 1)]
}

function asToken(value: unknown): { text: string } | { problem: string } {
  if (value === undefined || value === null) return { problem: 'is absent' }
  if (typeof value !== 'string' && !Number.isSafeInteger(value)) return { problem: 'is neither a text nor an integer' }
  const text = String(value)
  return token.test(text) ? { text } : { problem: 'is not one token of at most 128 characters [A-Za-z0-9._-]' }
}

function ownMember(object: Readonly<Record<string, unknown>>, member: string): unknown {
  return Object.hasOwn(object, member) ? object[member] : undefined
}

function resourceMember(resource: Resource, member: string): unknown {
  return member === 'id' ? resource.id.slice(resource.type.length + 1) : ownMember(resource.attributes, member)
}

/** Environment variable → template with `resource.*` filled and `credential.*` kept, for the client to fill. */
export function fillEnv(env: Grant['env'], resource: Resource): Record<string, string> {
  const lookup: Lookup = (name) => {
    const [source, member] = splitName(name)
    if (source === 'credential') return { text: `\${${name}}` }
    if (source === 'resource') return asToken(resourceMember(resource, member))
    return { problem: 'is no placeholder' }
  }
  return Object.fromEntries(Object.entries(env).map(([variable, text]) => [variable, fillText(text, lookup)]))
}

/** Declared fields that the recipe consumes: these the provider enforces, so policies may rest on them. */
export function declaredFieldsOf(recipe: Recipe): Set<string> {
  const fields = new Set<string>()
  walkTexts(recipe, [], (text) => {
    for (const [, name = ''] of text.matchAll(placeholder)) {
      const [source, member] = splitName(name)
      if (source === 'declared') fields.add(member)
    }
  })
  return fields
}

/**
 * What can be known at load: placeholders that are unknown, declared without `one_of`, or absent or not a token on some
 * resource of the grant's type. Paths are relative to the grant.
 */
export function checkRecipeTemplate(grant: Grant, resources: readonly ResourceEntry[]): SettingProblem[] {
  const ofType = resources.filter((entry) => entry.type === grant.resourceType)
  const problems: SettingProblem[] = []
  const check = (kind: 'recipe' | 'env') => (text: string, path: (string | number)[]) => {
    for (const [whole, name = '', end] of text.matchAll(placeholder)) {
      const message = end === '' ? 'is not closed' : placeholderProblem(kind, name, grant, ofType)
      if (message !== null) problems.push({ path: [kind, ...path], message: `${whole} ${message}` })
    }
  }
  walkTexts(grant.recipe, [], check('recipe'), (path) => {
    problems.push({ path: ['recipe', ...path], message: 'expected no placeholder in a key' })
  })
  walkTexts(grant.env, [], check('env'))
  return problems
}

function placeholderProblem(
  kind: 'recipe' | 'env',
  name: string,
  grant: Grant,
  resources: readonly ResourceEntry[],
): string | null {
  const [source, member] = splitName(name)
  if (source === 'resource') {
    for (const entry of resources) {
      const problem = resourceProblem(entry, member)
      if (problem !== null) return `${problem} on ${entry.pattern}`
    }
    return null
  }
  if (kind === 'env') {
    const known = source === 'credential' && /^[a-z][A-Za-z0-9_]*$/.test(member)
    return known ? null : 'is unknown; expected resource.<attribute> or credential.<field>'
  }
  if (name === 'task.id') return null
  if (source !== 'declared') return 'is unknown; expected resource.<attribute>, declared.<field> or task.id'
  const field = Object.hasOwn(grant.context, member) ? grant.context[member] : undefined
  if (field === undefined) return 'is not in the context of this grant'
  // A free text of the caller's choosing must never reach a provider, however it is shaped.
  if (field.oneOf === null) return 'expected a context field with one_of'
  const unfit = field.oneOf.find((value) => 'problem' in asToken(value))
  return unfit === undefined ? null : `one_of has ${JSON.stringify(unfit)}, which is not one token`
}

function resourceProblem(entry: ResourceEntry, member: string): string | null {
  // What a placeholder of the pattern will be is only known when somebody asks: then 422.
  if (entry.placeholders.includes(member)) return null
  if (member === 'id' && entry.placeholders.length > 0 && entry.segments.length === 1) return null
  const value = member === 'id' ? entry.segments.join('/') : ownMember(entry.attributes, member)
  const found = asToken(value)
  return 'problem' in found ? found.problem : null
}

function walkTexts(
  value: Json | undefined,
  path: (string | number)[],
  visit: (text: string, path: (string | number)[]) => void,
  refuseKey?: (path: (string | number)[]) => void,
): void {
  if (typeof value === 'string') visit(value, path)
  if (value === null || typeof value !== 'object') return
  for (const [key, member] of Object.entries(value)) {
    const at = [...path, Array.isArray(value) ? Number(key) : key]
    if (key.includes('${')) refuseKey?.(at)
    walkTexts(member, at, visit, refuseKey)
  }
}
