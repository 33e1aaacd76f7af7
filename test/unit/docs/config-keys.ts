// Every key that the configuration's schema knows, as docs/configuration.md writes them: `issuers.<name>.audience`.
import { z } from 'zod'

/** Path → the schemas that stand there: several where a union has the key in more than one of its branches. */
export type ConfigKeys = Map<string, z.ZodType[]>

/** The scalars, lists and free mappings at the ends of the schema; a mapping of known keys is not a key of its own. */
export function configKeysOf(schema: z.ZodType): ConfigKeys {
  const keys: ConfigKeys = new Map()
  collect(schema, '', keys)
  return keys
}

function collect(schema: unknown, path: string, keys: ConfigKeys): void {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject) {
    for (const [name, member] of Object.entries(inner.shape)) collect(member, path ? `${path}.${name}` : name, keys)
    return
  }
  if (inner instanceof z.ZodRecord && holdsKeys(inner.valueType)) {
    collect(inner.valueType, `${path}.<name>`, keys)
    return
  }
  if (inner instanceof z.ZodArray && holdsKeys(inner.element)) collect(inner.element, `${path}[]`, keys)
  if (inner instanceof z.ZodUnion) {
    for (const option of inner.options) if (holdsKeys(option)) collect(option, path, keys)
    if (inner.options.every(holdsKeys)) return
  }
  // What is not to be written (keys kept for later) is not documented.
  if (inner instanceof z.ZodNever) return
  keys.set(path, [...(keys.get(path) ?? []), schema as z.ZodType])
}

/** Whether known keys are somewhere below, other than through a free mapping of scalars. */
function holdsKeys(schema: unknown): boolean {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject) return true
  if (inner instanceof z.ZodUnion) return inner.options.some(holdsKeys)
  return inner instanceof z.ZodRecord && holdsKeys(inner.valueType)
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return unwrap(schema.def.innerType)
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return unwrap(schema.def.innerType)
  return schema instanceof z.ZodPipe ? unwrap(schema.def.in) : schema
}

/** What the schema fills in when the key is left out: undefined where it must be written or may simply be absent. */
export function defaultOf(schema: z.ZodType): unknown {
  const parsed = schema.safeParse(undefined)
  return parsed.success ? parsed.data : undefined
}
