// Resources as the operator writes them: `type:id` exactly, or with `{name}` for one whole segment.
// Attributes come from here alone, never from a caller.
import type { SettingProblem } from '../core/settings.js'
import type { Resource } from '../policy/decision.js'

export type ResourceAttribute = string | number | boolean | readonly string[]

export interface ResourceEntry {
  /** As written in the configuration; for an exact entry the resource's id. */
  readonly pattern: string
  readonly type: string
  /** What stands after the type, split at `/`. A placeholder is `{name}`. */
  readonly segments: readonly string[]
  /** Names of the placeholders, in order; empty for an exact entry. */
  readonly placeholders: readonly string[]
  readonly attributes: Readonly<Record<string, ResourceAttribute>>
}

// `.` and `..` would climb out of a path that a recipe builds; a slash would be more than one segment.
const segmentValue = /^(?!\.{1,2}$)[a-z0-9._@-]{1,128}$/
const placeholderName = /^\{([a-z][a-z0-9_]*)\}$/

/** Reads one entry of `resources:`. The key's shape is the schema's business (grant-config.ts). */
export function parseResourceEntry(pattern: string, attributes: Record<string, ResourceAttribute>): ResourceEntry {
  const colon = pattern.indexOf(':')
  const segments = pattern.slice(colon + 1).split('/')
  return {
    pattern,
    type: pattern.slice(0, colon),
    segments,
    placeholders: segments.flatMap((segment) => placeholderName.exec(segment)?.[1] ?? []),
    attributes,
  }
}

/** The resource that `id` names under this entry, or null where it does not fit. */
export function matchResource(entry: ResourceEntry, id: string): Resource | null {
  if (entry.placeholders.length === 0) {
    return id === entry.pattern ? { id, type: entry.type, attributes: entry.attributes } : null
  }
  if (!id.startsWith(`${entry.type}:`)) return null
  const segments = id.slice(entry.type.length + 1).split('/')
  if (segments.length !== entry.segments.length) return null
  const attributes: Record<string, ResourceAttribute> = { ...entry.attributes }
  for (const [index, segment] of segments.entries()) {
    const expected = entry.segments[index] ?? ''
    const name = placeholderName.exec(expected)?.[1]
    if (name === undefined ? segment !== expected : !segmentValue.test(segment)) return null
    if (name !== undefined) attributes[name] = segment
  }
  return { id, type: entry.type, attributes }
}

/** More literal segments first, so that the narrower pattern is the one found. */
export function bySpecificity(a: ResourceEntry, b: ResourceEntry): number {
  return a.placeholders.length - b.placeholders.length
}

/**
 * What is wrong among entries that are each well formed: placeholders that are not whole segments or clash with an
 * attribute, ids that a caller could never name, and two patterns that could both fit with nothing to choose by.
 */
export function checkResources(entries: readonly ResourceEntry[]): SettingProblem[] {
  const problems: SettingProblem[] = []
  for (const entry of entries) {
    const refuse = (message: string) => problems.push({ path: [entry.pattern], message })
    for (const segment of entry.segments) {
      if (placeholderName.test(segment) || segmentValue.test(segment)) continue
      refuse(`segment ${JSON.stringify(segment)}: expected lower-case [a-z0-9._@-] or one whole {name}`)
    }
    if (new Set(entry.placeholders).size !== entry.placeholders.length) refuse('a placeholder appears more than once')
    for (const name of entry.placeholders) {
      if (name === 'id' || Object.hasOwn(entry.attributes, name)) {
        refuse(`placeholder {${name}} has the name of an attribute; expected another name`)
      }
    }
  }
  return [...problems, ...ambiguousPatterns(entries)]
}

function ambiguousPatterns(entries: readonly ResourceEntry[]): SettingProblem[] {
  const patterns = entries.filter((entry) => entry.placeholders.length > 0)
  return patterns.flatMap((later, index) => {
    const rival = patterns
      .slice(0, index)
      .find((earlier) => earlier.placeholders.length === later.placeholders.length && overlap(earlier, later))
    if (rival === undefined) return []
    return [
      { path: [later.pattern], message: `could fit the same ids as ${rival.pattern}; expected one to be narrower` },
    ]
  })
}

function overlap(a: ResourceEntry, b: ResourceEntry): boolean {
  if (a.type !== b.type || a.segments.length !== b.segments.length) return false
  return a.segments.every((segment, index) => {
    const other = b.segments[index] ?? ''
    return segment === other || segment.startsWith('{') || other.startsWith('{')
  })
}
