// Verified claims → typed attributes, requirements, account and instance. Nothing is converted: a claim of another type
// than mapped is absent, so that "true" never becomes true and 65 never "65".
import type { AttributeValue } from './principal.js'
import { quoted, type RawToken, refusedToken } from './raw-token.js'

type Claims = RawToken['claims']
type AttributeType = 'string' | 'number' | 'boolean' | 'set'

export interface AttributeRule {
  /** Member names from the top: Kubernetes nests its claims in `kubernetes.io`, and names may hold dots and slashes. */
  readonly claim: readonly string[]
  readonly type: AttributeType
  /** For names that their issuer compares without case (GitHub repositories); resource ids are lower case. */
  readonly lowerCase?: boolean
}
export type AttributeRules = Readonly<Record<string, AttributeRule>>

type Scalar = string | number | boolean
/** One value, one of several, or the members of a nested claim. */
export type Requirement = Scalar | readonly Scalar[] | { readonly [member: string]: Requirement }

/** The claim at a path, or undefined. Own members only: a token must not reach what every object inherits. */
export function readClaim(claims: Claims, path: readonly string[]): unknown {
  let at: unknown = claims
  for (const name of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return undefined
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

/** The attributes that policies may use; those whose claim is absent or of another type are left out. */
export function deriveAttributes(claims: Claims, rules: AttributeRules): Record<string, AttributeValue> {
  const attributes: Record<string, AttributeValue> = {}
  for (const name in rules) {
    const rule = rules[name]
    const value = rule === undefined ? undefined : typedValue(readClaim(claims, rule.claim), rule.type)
    if (value === undefined) continue
    attributes[name] = rule?.lowerCase && typeof value === 'string' ? value.toLowerCase() : value
  }
  return attributes
}

function typedValue(value: unknown, type: AttributeType): AttributeValue | undefined {
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : undefined
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined
    case 'number':
      // Policies count in 64-bit integers; a number that JavaScript has rounded already is nobody's.
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
    case 'set':
      return Array.isArray(value) && value.every((item): item is string => typeof item === 'string')
        ? [...new Set(value)]
        : undefined
  }
}

/** Checks an issuer's `require` against raw claims, exactly and by type. Throws `invalid_token` naming the claim. */
export function checkRequirements(claims: Claims, requirements: Readonly<Record<string, Requirement>>): void {
  for (const [name, requirement] of Object.entries(requirements)) checkRequirement(claims, [name], requirement)
}

function checkRequirement(claims: Claims, path: readonly string[], requirement: Requirement): void {
  if (isNested(requirement)) {
    for (const [name, inner] of Object.entries(requirement)) checkRequirement(claims, [...path, name], inner)
    return
  }
  const value = readClaim(claims, path)
  const allowed: readonly unknown[] = Array.isArray(requirement) ? requirement : [requirement]
  // Beyond 2^53 two numbers of a token can be one number here.
  const isRounded = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)
  if (!isRounded && allowed.includes(value)) return
  // Expected values stay with the operator: anybody may get a token of a public issuer, and would read them here.
  const seen = value === undefined ? 'is absent' : `is ${quoted(value)}`
  throw refusedToken(`claim "${path.join('.')}" ${seen}, which this issuer's "require" does not allow`)
}

function isNested(requirement: Requirement): requirement is { readonly [member: string]: Requirement } {
  return typeof requirement === 'object' && !Array.isArray(requirement)
}

/**
 * `issuer-name:a/b`, from attributes. Percent and slash in a value are encoded, so that no two lists of values join to one
 * text. Throws `invalid_token` when one is absent or empty: it would merge everybody who lacks it.
 */
export function joinAttributes(
  issuerName: string,
  names: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>>,
): string {
  const values = names.map((name) => {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (value === undefined || value === '' || typeof value === 'object') {
      throw refusedToken(`the token gives no "${name}", which issuer "${issuerName}" tells accounts or runs apart by`)
    }
    return String(value).replaceAll('%', '%25').replaceAll('/', '%2F')
  })
  return `${issuerName}:${values.join('/')}`
}
