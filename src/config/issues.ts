// zod's issues in an operator's words: where it is and what was expected. Values are never quoted: they may be secrets.
import { z } from 'zod'
import type { SettingProblem } from '../core/settings.js'

type Issue = z.core.$ZodIssue
type Step = string | number

/** One problem per thing that is wrong. `schema` is asked what keys an unknown one could have been. */
export function toProblems(issues: readonly Issue[], schema: z.ZodType, value: unknown): SettingProblem[] {
  return issues.flatMap((issue) => explain(issue, [], schema, value))
}

function explain(issue: Issue, base: Step[], schema: z.ZodType, value: unknown): SettingProblem[] {
  const path = [...base, ...issue.path.filter((step): step is Step => typeof step !== 'symbol')]
  switch (issue.code) {
    case 'unrecognized_keys': {
      const allowed = keysAt(schema, path, value)
      const expected = allowed.length > 0 ? `; expected one of ${allowed.join(', ')}` : ''
      return issue.keys.map((key) => ({ path: [...path, key], message: `unknown key${expected}` }))
    }
    case 'invalid_key':
      return [{ path, message: issue.issues[0]?.message ?? issue.message }]
    case 'invalid_union':
      return explainUnion(issue, path, schema, value)
    case 'invalid_type': {
      const given = valueAt(value, path)
      if (!isStandard(issue.message)) return [{ path, message: issue.message }]
      const expected = `expected ${article(issue.expected)}`
      return [{ path, message: given === undefined ? `is missing: ${expected}` : `${expected}, got ${kindOf(given)}` }]
    }
    case 'invalid_value':
      return [{ path, message: isStandard(issue.message) ? `expected ${listOf(issue.values)}` : issue.message }]
    default:
      return [{ path, message: issue.message.replace(/^Invalid \w+: /, '') }]
  }
}

/** Of a union's branches the one that got furthest is what the operator meant. */
function explainUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Step[],
  schema: z.ZodType,
  value: unknown,
): SettingProblem[] {
  const given = valueAt(value, path)
  if ('options' in issue && Array.isArray(issue.options)) {
    const expected = `expected ${listOf(issue.options)}`
    return [{ path, message: given === undefined ? `is missing: ${expected}` : expected }]
  }
  const branches = issue.errors.filter((branch) => !branch.some((inner) => isOfAnotherKind(inner, given)))
  const [branch] = branches.sort((a, b) => a.length - b.length)
  if (branch !== undefined) return branch.flatMap((inner) => explain(inner, path, schema, value))
  if (!isStandard(issue.message)) return [{ path, message: issue.message }]
  const kinds = issue.errors.flat().flatMap((inner) => {
    if (inner.path.length > 0) return []
    if (inner.code === 'invalid_type') return [article(inner.expected)]
    return inner.code === 'invalid_value' ? [listOf(inner.values)] : []
  })
  const expected = `expected ${[...new Set(kinds)].join(' or ')}`
  return [{ path, message: given === undefined ? `is missing: ${expected}` : `${expected}, got ${kindOf(given)}` }]
}

/** The branch is for a value of another type altogether, so its complaint says nothing about this one. */
function isOfAnotherKind(issue: Issue, given: unknown): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_type') return true
  return issue.code === 'invalid_value' && typeof given !== 'string'
}

function isStandard(message: string): boolean {
  return /^(Invalid|Unrecognized|Too )/.test(message)
}

function article(expected: string): string {
  const names: Record<string, string> = {
    object: 'a mapping',
    record: 'a mapping',
    array: 'a list',
    int: 'a whole number',
  }
  return names[expected] ?? `a ${expected}`
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return article(typeof value)
}

function listOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`
}

/** Undefined where the path leads nowhere. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, step) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    return (at as Record<PropertyKey, unknown>)[step]
  }, value)
}

/** The keys that the schema knows at a path: those of the object there, found through wrappers, records and unions. */
function keysAt(schema: unknown, path: readonly Step[], value: unknown): string[] {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodUnion) {
    const fitting = inner.options.filter((option) => hasSameType(option, value))
    return [...new Set(fitting.flatMap((option) => keysAt(option, path, value)))]
  }
  const [step, ...rest] = path
  if (step === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
  const below = valueAt(value, [step])
  if (inner instanceof z.ZodObject) return keysAt(inner.shape[step], rest, below)
  if (inner instanceof z.ZodRecord) return keysAt(inner.valueType, rest, below)
  return inner instanceof z.ZodArray ? keysAt(inner.element, rest, below) : []
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault) {
    return unwrap(schema.def.innerType)
  }
  if (schema instanceof z.ZodPrefault) return unwrap(schema.def.innerType)
  return schema instanceof z.ZodPipe ? unwrap(schema.def.in) : schema
}

/** In a union told apart by `type` or `method`, only the option with the written value counts. */
function hasSameType(option: unknown, value: unknown): boolean {
  const inner = unwrap(option)
  if (!(inner instanceof z.ZodObject)) return !(typeof value === 'object' && value !== null)
  return Object.entries(inner.shape).every(([name, member]) => {
    if (!(member instanceof z.ZodLiteral)) return true
    return ([...member.values] as unknown[]).includes(valueAt(value, [name]))
  })
}
