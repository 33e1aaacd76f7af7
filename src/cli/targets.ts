// What an operator names on the command line → the target of an order or a lock.
import { leaseFilter } from '../api/leases.js'
import { lockRequest } from '../api/locks.js'
import { type Target, target as targetSchema, where } from '../api/revocations.js'
import { UsageError } from './exit-codes.js'

const kinds = ['lease', 'task', 'principal', 'account', 'issuer', 'action', 'resource', 'provider', 'all'] as const

/** `revoke account ID`, `revoke all`, `revoke where k=v k=v…`. Throws UsageError. */
export function parseTarget(kind: string, words: readonly string[], command: string): Target {
  if (kind === 'where') return parseWhere(words, command)
  if (!kinds.some((known) => known === kind)) {
    throw new UsageError(`${command}: expected one of ${kinds.join(', ')} or where, not "${kind}"`)
  }
  const [id, ...rest] = words
  if (kind === 'all' && id !== undefined) throw new UsageError(`${command} all takes no id; did you mean another kind?`)
  if (kind !== 'all' && id === undefined) throw new UsageError(`${command} ${kind}: which one?`)
  if (rest.length > 0)
    throw new UsageError(`${command} ${kind} takes one id; several filters are "${command} where k=v …"`)
  const parsed = targetSchema.safeParse({ [kind]: kind === 'all' ? true : id })
  if (parsed.success) return parsed.data
  throw new UsageError(`${command} ${kind}: "${id}" has not the shape of one: ${shapeOf(kind, id)}`)
}

/** What is expected of this kind; the union of all targets only says that none fits. */
function shapeOf(kind: string, id: string | undefined): string | undefined {
  const own = targetSchema.options.find((option) => kind in option.shape)
  return own?.safeParse({ [kind]: id }).error?.issues[0]?.message
}

/** As `parseTarget`; a filter cannot be locked. */
export function parseLockTarget(kind: string, words: readonly string[], command: string) {
  const parsed = lockRequest.shape.target.safeParse(parseTarget(kind, words, command))
  if (parsed.success) return parsed.data
  throw new UsageError(`${command}: ${parsed.error.issues[0]?.message}`)
}

/** `issuer=ci issued_after=2026-01-01T00:00:00Z attributes.repository_id=65`; `:=` is for numbers and booleans. */
function parseWhere(words: readonly string[], command: string): Target {
  const filter: Record<string, unknown> = {}
  const attributes: Record<string, string | number | boolean> = {}
  for (const word of words) {
    const [, path, assign, text] = /^([a-z_]+(?:\.[^:=]+)?)(:?=)(.+)$/s.exec(word) ?? []
    if (path === undefined || text === undefined) throw new UsageError(`${command} where: expected k=v, not "${word}"`)
    const attribute = path.startsWith('attributes.') ? path.slice('attributes.'.length) : null
    const into = attribute === null ? filter : attributes
    const name = attribute ?? path
    if (Object.hasOwn(into, name)) throw new UsageError(`${command} where: ${path} is given twice`)
    into[name] = assign === '=' ? text : parseTyped(path, text, command)
  }
  if (Object.keys(attributes).length > 0) filter.attributes = attributes
  const parsed = targetSchema.safeParse({ where: filter })
  if (parsed.success) return parsed.data
  throw new UsageError(`${command} where: ${describeWhere(filter)}`)
}

function parseTyped(path: string, text: string, command: string): number | boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^-?[0-9]{1,15}$/.test(text)) return Number(text)
  throw new UsageError(`${command} where: ${path}:= expected an integer, true or false; ${path}=… is for text`)
}

const filters = [...Object.keys(leaseFilter.shape), 'attributes.NAME']

/** Which filter it was, and what was expected of it. */
function describeWhere(filter: Record<string, unknown>): string {
  if (Object.keys(filter).length === 0) return 'expected at least one filter, such as issuer=ci; everything is "all"'
  const parsed = where.safeParse(filter)
  const unknown = Object.keys(filter).find((name) => !(name in where.shape))
  if (unknown !== undefined) return `there is no filter ${unknown}; expected one of ${filters.join(', ')}`
  const issue = parsed.error?.issues[0]
  return `${issue?.path.join('.')}: ${issue?.message ?? 'these filters do not go together'}`
}
