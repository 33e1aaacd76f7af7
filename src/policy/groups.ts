// `groups:` of the configuration: who is in which Cedar Group. Only verified attributes are looked at, and an identity
// provider's own groups count only through them.
import { z } from 'zod'
import type { SettingProblem } from '../core/settings.js'
import type { AttributeValue, Principal } from '../identity/principal.js'
import type { CedarType, IssuerTypes } from './schema.js'

const value = z.union([z.string().max(1024), z.int(), z.boolean()])
const rule = z.strictObject({
  issuer: z.string().min(1),
  where: z
    .record(z.string(), z.union([value, z.array(value).min(1)]))
    .refine((where) => Object.keys(where).length > 0, 'expected at least one attribute'),
})
const member = z.union([
  z.string().regex(/^[a-z][a-z0-9-]*:[^\s]+$/, 'expected issuer:subject or { issuer, where }'),
  rule,
])

export const groupsConfig = z
  .record(
    z
      .string()
      .regex(/^[a-z][a-z0-9_-]*$/, 'expected a group name in lower case')
      .max(64),
    z.array(member),
  )
  .default({})

export type GroupsConfig = z.output<typeof groupsConfig>
type Rule = z.output<typeof rule>

export interface Groups {
  readonly names: ReadonlySet<string>
  /** The groups that this principal is in now, sorted. */
  groupsOf(principal: Pick<Principal, 'id' | 'issuer' | 'attributes'>): string[]
}

/** Membership by principal id, or by issuer and verified attributes. */
export function createGroups(config: GroupsConfig): Groups {
  const byId = new Map<string, Set<string>>()
  const byIssuer = new Map<string, { group: string; where: Rule['where'] }[]>()
  for (const [group, members] of Object.entries(config)) {
    for (const entry of members) {
      if (typeof entry === 'string') byId.set(entry, (byId.get(entry) ?? new Set()).add(group))
      else byIssuer.set(entry.issuer, [...(byIssuer.get(entry.issuer) ?? []), { group, where: entry.where }])
    }
  }
  return {
    names: new Set(Object.keys(config)),
    groupsOf(principal) {
      const groups = new Set(byId.get(principal.id))
      for (const { group, where } of byIssuer.get(principal.issuer) ?? []) {
        if (isWhere(where, principal.attributes)) groups.add(group)
      }
      return [...groups].sort()
    },
  }
}

function isWhere(where: Rule['where'], attributes: Readonly<Record<string, AttributeValue>>): boolean {
  return Object.entries(where).every(([name, wanted]) => {
    const actual = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (actual === undefined) return false
    const values: readonly AttributeValue[] = Array.isArray(actual) ? actual : [actual]
    return [wanted].flat().some((one) => values.includes(one))
  })
}

/** Issuers and attributes that do not exist, and values that the attribute's type can never equal. Paths from the file's root. */
export function checkGroups(config: GroupsConfig, issuers: Readonly<Record<string, IssuerTypes>>): SettingProblem[] {
  return Object.entries(config).flatMap(([group, members]) =>
    members.flatMap((entry, index): SettingProblem[] => {
      const path = ['groups', group, index]
      const name = typeof entry === 'string' ? entry.slice(0, entry.indexOf(':')) : entry.issuer
      const issuer = Object.hasOwn(issuers, name) ? issuers[name] : undefined
      if (issuer === undefined) return [{ path, message: `issuer ${JSON.stringify(name)} is not in issuers:` }]
      return typeof entry === 'string' ? [] : checkWhere(entry, issuer, path)
    }),
  )
}

function checkWhere(entry: Rule, issuer: IssuerTypes, path: (string | number)[]): SettingProblem[] {
  return Object.entries(entry.where).flatMap(([name, wanted]): SettingProblem[] => {
    const at = [...path, 'where', name]
    const type = Object.hasOwn(issuer.attributes, name) ? issuer.attributes[name] : undefined
    if (type === undefined) return [{ path: at, message: `${entry.issuer} gives no attribute ${JSON.stringify(name)}` }]
    const expected = javascriptTypes[type]
    const unfit = [wanted].flat().some((one) => typeof one !== expected)
    return unfit ? [{ path: at, message: `expected ${type} values, as ${entry.issuer} gives them` }] : []
  })
}

const javascriptTypes: Record<CedarType, 'string' | 'number' | 'boolean'> = {
  String: 'string',
  Long: 'number',
  Bool: 'boolean',
  'Set<String>': 'string',
}
