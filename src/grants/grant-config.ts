// `grants:` and `resources:` of the configuration, parsed into the nouns of this folder.
import { z } from 'zod'
import type { Json } from '../core/canonical-json.js'
import { durationWithin, type SettingProblem } from '../core/settings.js'
import type { ContextField, Grant } from './grant.js'
import { checkResources, parseResourceEntry, type ResourceEntry } from './resource.js'

/** Also the name of an attribute in Cedar and of a placeholder, hence one shape for all. */
const attributeName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/, 'expected a name in lower case such as change_type')
  .max(64)

const actionName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/, 'expected an action such as database.query')
  .max(128)
  .refine((name) => !['read', 'write', 'deploy', 'admin'].includes(name), 'is an access class; expected another name')
  .refine((name) => !/^operate(\.|$)/.test(name), 'operate.* are the operators’ actions; expected another name')

// These are entity or type names of the generated Cedar schema, or Cedar's own.
const takenTypes = new Set(
  'issuer group broker workload operator holdings task approval action string long bool boolean set record entity extension datetime duration decimal ipaddr'.split(
    ' ',
  ),
)
const resourceType = z
  .string()
  .regex(/^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*$/, 'expected a resource type such as database')
  .max(64)
  .refine((type) => !takenTypes.has(type), 'is a name that policies already use; expected another type')

const groupAndCount = z
  .string()
  .regex(/^[a-z][a-z0-9_-]*:[1-9][0-9]?$/, 'expected group:count such as dba:2')
  .transform((text) => {
    const [group = '', count = ''] = text.split(':')
    return { group, count: Number(count) }
  })

const json: z.ZodType<Json> = z.json()

const contextField = z
  .strictObject({
    type: z.enum(['string', 'integer', 'boolean']),
    one_of: z
      .array(z.union([z.string().max(256), z.int()]))
      .min(1)
      .optional(),
    pattern: z.string().min(1).max(512).optional(),
    optional: z.boolean().default(false),
  })
  .superRefine((field, context) => {
    const refuse = (member: string, message: string) => context.addIssue({ code: 'custom', path: [member], message })
    if (field.pattern !== undefined && field.type !== 'string') refuse('pattern', 'expected only with type: string')
    if (field.pattern !== undefined && compile(field.pattern) === null)
      refuse('pattern', 'expected a regular expression')
    const member = field.type === 'integer' ? 'number' : field.type
    if (field.one_of?.some((value) => typeof value !== member))
      refuse('one_of', `expected only values of type ${field.type}`)
  })
  .transform(
    (field): ContextField => ({
      type: field.type,
      oneOf: field.one_of ?? null,
      pattern: field.pattern === undefined ? null : compile(field.pattern),
      optional: field.optional,
    }),
  )

/** Full match only: a pattern that fits somewhere inside is no check at all. */
function compile(pattern: string): RegExp | null {
  try {
    return new RegExp(`^(?:${pattern})$`, 'u')
  } catch {
    return null
  }
}

/** What may be asked for on the wire ends at a year, too. */
const lifetime = durationWithin(1, 31_536_000, '1s to 365d')

const requirement = z
  .strictObject({
    approval: groupAndCount.optional(),
    binding: z.enum(['dpop', 'mtls', 'any']).optional(),
    max_ttl: lifetime.optional(),
  })
  .transform((require) => ({
    approval: require.approval ?? null,
    binding: require.binding ?? null,
    maxTtlSeconds: require.max_ttl ?? null,
  }))

const grantEntry = z.strictObject({
  access: z.enum(['read', 'write', 'deploy', 'admin']),
  resource: resourceType,
  provider: z.string().min(1),
  ttl: z
    .strictObject({ default: lifetime, max: lifetime })
    .refine((ttl) => ttl.default <= ttl.max, 'expected default between 1s and max'),
  context: z.record(attributeName, contextField).default({}),
  standing: z.boolean().default(false),
  require: requirement.prefault({}),
  recipe: z.record(z.string(), json),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable'), z.string())
    .default({}),
})

/** Action → Grant. Recipes and environments still hold their placeholders; recipe.ts checks them against the resources. */
export const grantsConfig = z.record(actionName, grantEntry).transform((entries) => {
  const grants: Record<string, Grant> = {}
  for (const [action, entry] of Object.entries(entries)) {
    const { resource, ttl, ...rest } = entry
    grants[action] = {
      ...rest,
      action,
      resourceType: resource,
      ttl: { defaultSeconds: ttl.default, maxSeconds: ttl.max },
    }
  }
  return grants
})

const attributeValue = z.union([z.string().max(1024), z.int(), z.boolean(), z.array(z.string().max(1024)).max(1000)])

const resourceKey = z
  .string()
  .max(256)
  .regex(
    /^[a-z][a-z0-9_]*:[a-z0-9{][a-z0-9._/@{}-]*[^/]?$/,
    'expected type:id in lower case, such as repo:acme/web or repo:acme/{name}',
  )

const resourceAttributes = z.record(
  attributeName.refine((name) => name !== 'id', 'id is the part after the colon; expected another name'),
  attributeValue,
)

/** The entries in the order of the file; ids and patterns are known to be well formed and unambiguous. */
export const resourcesConfig = z
  .record(resourceKey, resourceAttributes.nullable())
  .transform((entries, context): ResourceEntry[] => {
    const parsed = Object.entries(entries).map(([key, attributes]) => parseResourceEntry(key, attributes ?? {}))
    const badTypes = parsed.flatMap((entry): SettingProblem[] => {
      const issue = resourceType.safeParse(entry.type).error?.issues[0]
      return issue === undefined ? [] : [{ path: [entry.pattern], message: `${entry.type}: ${issue.message}` }]
    })
    for (const problem of [...badTypes, ...checkResources(parsed)]) {
      context.addIssue({ code: 'custom', path: problem.path, message: problem.message })
    }
    return parsed
  })
