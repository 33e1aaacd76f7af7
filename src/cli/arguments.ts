// Option texts → what they mean. Everything here throws UsageError and nothing else.
import type { RequestCredential } from '../client/index.js'
import { duration } from '../core/settings.js'
import { UsageError } from './exit-codes.js'

/** `5m` → 300. `flag` names the option in the message. */
export function parseDuration(text: string, flag: string): number {
  const parsed = duration.safeParse(text)
  if (parsed.success) return parsed.data
  throw new UsageError(`${flag}: expected a duration such as 90s, 10m or 1h, not "${text}"`)
}

/** One credential to ask for, and the name it was given on the command line. */
export interface NamedRequest {
  readonly name: string | null
  readonly request: RequestCredential
}

export interface CredentialOptions {
  action?: string | undefined
  resource?: string | undefined
  ttl?: string | undefined
  context?: readonly string[] | undefined
  credential?: readonly string[] | undefined
}

/** All credentials of one command: `--action`/`--resource` first, then each `--credential`. At least one. */
export function parseCredentialOptions(options: CredentialOptions): NamedRequest[] {
  const { action, resource } = options
  if ((action === undefined) !== (resource === undefined)) throw new UsageError('--action and --resource go together')
  const wanted = (options.credential ?? []).map(parseNamedCredential)
  if (action !== undefined && resource !== undefined) wanted.unshift({ name: null, action, resource })
  if (wanted.length === 0) throw new UsageError('say what is needed: --action A --resource R')
  const names = wanted.flatMap(({ name }) => (name === null ? [] : [name]))
  const repeated = names.find((name, i) => names.indexOf(name) !== i)
  if (repeated !== undefined) throw new UsageError(`--credential: two are called ${repeated}`)
  const ttl = options.ttl === undefined ? {} : { ttl_seconds: parseDuration(options.ttl, '--ttl') }
  const contexts = parseContexts(options.context ?? [], names)
  return wanted.map(({ name, ...asked }) => ({
    name,
    request: { ...asked, ...ttl, context: contexts.get(name) ?? {} },
  }))
}

function parseNamedCredential(text: string): { name: string | null; action: string; resource: string } {
  const match = /^(?:([A-Za-z][A-Za-z0-9_]*):)?([^:=]+)=(.+)$/s.exec(text)
  const [, name, action, resource] = match ?? []
  if (action === undefined || resource === undefined) {
    throw new UsageError(`--credential: expected [NAME:]ACTION=RESOURCE, such as db:database.query=database:orders`)
  }
  return { name: name ?? null, action, resource }
}

type Context = Record<string, string | number | boolean>

/** `k=v` is text, `k:=v` an integer or a boolean (as HTTPie writes it); `NAME:k=v` belongs to that credential. */
function parseContexts(texts: readonly string[], names: readonly string[]): Map<string | null, Context> {
  const contexts = new Map<string | null, Context>()
  for (const text of texts) {
    const match = /^(?:([A-Za-z][A-Za-z0-9_]*):)?([A-Za-z][A-Za-z0-9_]*)(:?=)(.*)$/s.exec(text)
    const [, name, key, assign, value] = match ?? []
    if (key === undefined || value === undefined) throw new UsageError(`--context: expected k=v, not "${text}"`)
    if (name !== undefined && !names.includes(name))
      throw new UsageError(`--context: no --credential is called ${name}`)
    const context = contexts.get(name ?? null) ?? {}
    if (Object.hasOwn(context, key)) throw new UsageError(`--context: ${key} is given twice`)
    context[key] = assign === ':=' ? parseTyped(key, value) : value
    contexts.set(name ?? null, context)
  }
  return contexts
}

/** `k=v` is text, `k:=v` an integer or a boolean; `flag` names the option in the message. */
export function parsePairs(texts: readonly string[], flag: string): Context {
  const pairs: Context = {}
  for (const text of texts) {
    const [, key, assign, value] = /^([A-Za-z_][A-Za-z0-9_]*)(:?=)(.*)$/s.exec(text) ?? []
    if (key === undefined || value === undefined) throw new UsageError(`${flag}: expected k=v, not "${text}"`)
    if (Object.hasOwn(pairs, key)) throw new UsageError(`${flag}: ${key} is given twice`)
    pairs[key] = assign === ':=' ? parseTyped(key, value, flag) : value
  }
  return pairs
}

function parseTyped(key: string, value: string, flag = '--context'): number | boolean {
  if (value === 'true' || value === 'false') return value === 'true'
  if (/^-?[0-9]{1,15}$/.test(value)) return Number(value)
  throw new UsageError(`${flag}: ${key}:= expected an integer, true or false; ${key}=… is for text`)
}

/** A variable of the child and the field that fills it; `credential` is null for the first one. */
export interface ExplicitVariable {
  readonly variable: string
  readonly credential: string | null
  readonly field: string
}

/** `PGPASSWORD=password`, or `PGPASSWORD=db.password` for the credential called db. */
export function parseExplicitVariables(
  texts: readonly string[],
  names: readonly (string | null)[],
): ExplicitVariable[] {
  return texts.map((text) => {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=(?:([A-Za-z][A-Za-z0-9_]*)\.)?([^.=]+)$/s.exec(text)
    const [, variable, name, field] = match ?? []
    if (variable === undefined || field === undefined) {
      throw new UsageError('--env: expected NAME=field, or NAME=credential.field for a named credential')
    }
    if (name !== undefined && !names.includes(name)) throw new UsageError(`--env: no --credential is called ${name}`)
    return { variable, credential: name ?? names[0] ?? null, field }
  })
}
