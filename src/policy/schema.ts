// The Cedar schema that policies are validated against: generated from the catalogue and the issuers, so that a policy
// can only use names and types that a request really carries.
import type { SettingProblem } from '../core/settings.js'
import type { Grant } from '../grants/grant.js'

export type CedarType = 'String' | 'Long' | 'Bool' | 'Set<String>'

/** What an issuer's tokens give: attribute name → type. */
export interface IssuerTypes {
  readonly use: 'workload' | 'operator'
  readonly attributes: Readonly<Record<string, CedarType>>
}

interface ResourceShape {
  readonly pattern: string
  readonly type: string
  readonly placeholders: readonly string[]
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

export interface SchemaInput {
  readonly grants: Readonly<Record<string, Grant>>
  readonly resources: readonly ResourceShape[]
  readonly issuers: Readonly<Record<string, IssuerTypes>>
}

export const operateActions = [
  'operate.view',
  'operate.revoke',
  'operate.lock',
  'operate.unlock',
  'operate.approve',
  'operate.retry',
  'operate.abandon',
  'operate.simulate',
  'operate.audit',
] as const

/** What we set ourselves on a principal; an issuer's attribute of the same name would shadow it. */
const ownAttributes = { workload: ['issuer', 'subject', 'account'], operator: ['issuer', 'subject'] } as const

const holdings = `{ active_leases: Long, holding: Set<String>, holding_access: Set<String>, holding_resources: Set<String>, granted: Set<String>, granted_access: Set<String>, granted_resources: Set<String> }`
const contextTypes: Record<string, CedarType> = { string: 'String', integer: 'Long', boolean: 'Bool' } as Record<
  string,
  CedarType
>

/** `pull_request` → `PullRequest`: the entity type of a resource type. */
export function entityTypeOf(resourceType: string): string {
  return resourceType
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

/** The schema's text, in Cedar's own form. Inputs with problems (checkSchemaInput) give a schema without what clashes. */
export function generateSchema(input: SchemaInput): string {
  const resourceTypes = [...new Set(input.resources.map((resource) => resource.type))]
  const entityTypes = resourceTypes.map(entityTypeOf)
  return [
    'entity Issuer;',
    'entity Group;',
    'entity Broker;',
    principalEntity('Workload', 'workload', input),
    principalEntity('Operator', 'operator', input),
    ...resourceTypes.map((type) => resourceEntity(type, input.resources)),
    `type Holdings = ${holdings};`,
    'type Task = { age_seconds: Long, depth: Long, active_leases: Long };',
    'type Approval = { group: String, approvers: Set<String> };',
    ...['read', 'write', 'deploy', 'admin'].map((access) => `action ${access};`),
    ...Object.keys(input.grants)
      .sort()
      .flatMap((action) => grantAction(input.grants[action], entityTypes)),
    `action ${operateActions.map(quote).join(', ')} appliesTo { principal: Operator, resource: [${[...entityTypes, 'Broker'].join(', ')}], context: { action?: String, access?: String } };`,
    '',
  ].join('\n')
}

function principalEntity(name: string, use: 'workload' | 'operator', input: SchemaInput): string {
  const types = new Map<string, CedarType>()
  for (const issuer of Object.values(input.issuers)) {
    if (issuer.use !== use) continue
    for (const [attribute, type] of Object.entries(issuer.attributes)) {
      if (!types.has(attribute)) types.set(attribute, type)
    }
  }
  const own = ownAttributes[use]
  for (const attribute of own) types.delete(attribute)
  const members = [...own.map((attribute) => `${attribute}: String`), ...optionalMembers(types)]
  return `entity ${name} in [Issuer, Group] { ${members.join(', ')} };`
}

function resourceEntity(type: string, resources: readonly ResourceShape[]): string {
  const types = new Map<string, CedarType>()
  for (const resource of resources) {
    if (resource.type !== type) continue
    for (const [attribute, attributeType] of typesOfResource(resource)) {
      if (!types.has(attribute)) types.set(attribute, attributeType)
    }
  }
  return `entity ${entityTypeOf(type)} { ${['id: String', ...optionalMembers(types)].join(', ')} };`
}

function typesOfResource(resource: ResourceShape): [string, CedarType][] {
  return [
    ...Object.entries(resource.attributes).map(([name, value]): [string, CedarType] => [name, typeOfValue(value)]),
    ...resource.placeholders.map((name): [string, CedarType] => [name, 'String']),
  ]
}

/** As what a value is declared in the schema. */
export function typeOfValue(value: string | number | boolean | readonly string[]): CedarType {
  if (typeof value === 'string') return 'String'
  if (typeof value === 'number') return 'Long'
  return typeof value === 'boolean' ? 'Bool' : 'Set<String>'
}

function optionalMembers(types: ReadonlyMap<string, CedarType>): string[] {
  return [...types].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, type]) => `${memberName(name)}?: ${type}`)
}

// Cedar's reserved words are fine as attributes when quoted.
const reserved = new Set(['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar'])

function memberName(name: string): string {
  return reserved.has(name) ? quote(name) : name
}

function quote(text: string): string {
  return JSON.stringify(text)
}

function grantAction(grant: Grant | undefined, entityTypes: readonly string[]): string[] {
  if (grant === undefined || !entityTypes.includes(entityTypeOf(grant.resourceType))) return []
  const fields = Object.entries(grant.context)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${memberName(name)}${field.optional ? '?' : ''}: ${contextTypes[field.type]}`)
  const declared = fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
  const context = `{ requested_ttl_seconds: Long, declared: ${declared}, task: Task, session: Holdings, account: Holdings, recent_denials: Long, escalation: Bool, binding: String, approval?: Approval, now: datetime }`
  return [
    `action ${quote(grant.action)} in [${grant.access}] appliesTo { principal: Workload, resource: ${entityTypeOf(grant.resourceType)}, context: ${context} };`,
  ]
}

/** Attributes of two types, names that we set ourselves, resource types that share an entity type. Paths from the file's root. */
export function checkSchemaInput(input: SchemaInput): SettingProblem[] {
  const problems: SettingProblem[] = []
  const seen = new Map<string, { type: CedarType; by: string }>()
  const note = (owner: string, name: string, type: CedarType, by: string, path: string[]) => {
    const before = seen.get(`${owner} ${name}`)
    if (before === undefined) seen.set(`${owner} ${name}`, { type, by })
    else if (before.type !== type) {
      problems.push({ path, message: `${name} is ${type} here and ${before.type} in ${before.by}; expected one type` })
    }
  }
  for (const [issuer, { use, attributes }] of Object.entries(input.issuers)) {
    for (const [name, type] of Object.entries(attributes)) {
      const path = ['issuers', issuer, 'attributes', name]
      const own: readonly string[] = ownAttributes[use]
      if (own.includes(name))
        problems.push({ path, message: `${name} is set by Hallpass itself; expected another name` })
      else note(use, name, type, `issuer ${issuer}`, path)
    }
  }
  const entityTypes = new Map<string, string>()
  for (const resource of input.resources) {
    const path = ['resources', resource.pattern]
    const rival = entityTypes.get(entityTypeOf(resource.type)) ?? resource.type
    entityTypes.set(entityTypeOf(resource.type), rival)
    if (rival !== resource.type)
      problems.push({ path, message: `${resource.type} and ${rival} would be one entity type` })
    for (const [name, type] of typesOfResource(resource)) {
      note(`resource ${resource.type}`, name, type, resource.pattern, [...path, name])
    }
  }
  return problems
}
