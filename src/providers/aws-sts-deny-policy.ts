// The inline deny policy of a role, as text: which sessions it denies and until when, merged without losing what others
// wrote there. Pure. The document is the only store of the ends: they stand in the Sid, in the order of the session names.
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { ProviderError } from './provider.js'

/** All inline policies of one role together, white space not counted. */
export const maxRoleCharacters = 10_240
/** Part of the room that ordinary ends never use, so that an operator can always force one. */
const operatorShare = 0.1

const minuteMs = 60_000
// Our clock and AWS's may differ: an entry stays a little beyond its end, when the session's own dated deny has taken over.
const stayMs = 10_000
const groupSize = 20
const readySid = 'hpReady'

type Statement = { readonly [member: string]: Json | undefined }

export interface Denial {
  readonly session: string
  /** Epoch ms from which on the session is dead by itself. */
  readonly until: number
  readonly forced: boolean
}

export interface DenyDocument {
  /** Session name → end, epoch ms. */
  readonly ends: ReadonlyMap<string, number>
  /** What is not ours, as it was found. */
  readonly foreign: readonly Statement[]
  readonly members: Statement
}

/** Reads a policy as IAM keeps it; null is none yet. Throws a permanent ProviderError on what must not be overwritten. */
export function parseDenyPolicy(text: string | null): DenyDocument {
  if (text === null) return { ends: new Map(), foreign: [], members: {} }
  const document = parseObject(text)
  const { Statement: found, Version: _, ...members } = document
  const statements = Array.isArray(found) ? found : [found]
  const ends = new Map<string, number>()
  const foreign: Statement[] = []
  for (const statement of statements) {
    if (!isObject(statement)) throw unreadable()
    const ours = parseOurs(statement)
    if (ours === null) foreign.push(statement)
    else for (const [session, end] of ours) ends.set(session, Math.max(end, ends.get(session) ?? 0))
  }
  return { ends, foreign, members }
}

/**
 * The document with `additions` in it and what has ended left out, and the sessions for which there was no room.
 * `room`: characters that this policy may have; ordinary additions leave the operators' share of it free.
 */
export function mergeDenials(
  document: DenyDocument,
  additions: readonly Denial[],
  now: number,
  room: number,
): { text: string; refused: string[] } {
  const ends = new Map([...document.ends].filter(([, end]) => end > now))
  const refused: string[] = []
  // Forced ones first: they may use all of the room.
  for (const forced of [true, false]) {
    const wanted = additions.filter((addition) => addition.forced === forced)
    refused.push(...addAsFit(document, ends, wanted, forced ? room : room * (1 - operatorShare)))
  }
  const ordinary = room * (1 - operatorShare)
  const text = [ordinary, room, Number.POSITIVE_INFINITY].map((limit) => render(document, ends, limit)).find(Boolean)
  return { text: text ?? '', refused }
}

/** Adds to `ends` what fits and returns the sessions that do not. */
function addAsFit(
  document: DenyDocument,
  ends: Map<string, number>,
  additions: readonly Denial[],
  room: number,
): string[] {
  const before = new Map(ends)
  const add = ({ session, until }: Denial) => ends.set(session, Math.max(until + stayMs, ends.get(session) ?? 0))
  for (const addition of additions) add(addition)
  if (render(document, ends, room) !== null) return []
  ends.clear()
  for (const [session, end] of before) ends.set(session, end)
  const refused: string[] = []
  for (const addition of additions) {
    const earlier = ends.get(addition.session)
    if (earlier !== undefined && earlier >= addition.until) continue
    add(addition)
    if (render(document, ends, room) !== null) continue
    if (earlier === undefined) ends.delete(addition.session)
    else ends.set(addition.session, earlier)
    // An entry that already stands denies the session, however its end would have been moved.
    if (earlier === undefined) refused.push(addition.session)
  }
  return refused
}

/** How many sessions surely fit into `room`, whenever each of them ends. */
export function denialCapacity(room: number): number {
  const sample = (count: number) => Array.from({ length: count }, (_, n) => `lease_${String(n).padStart(26, '0')}`)
  const length = (count: number) =>
    JSON.stringify(groupStatement(0, new Map(sample(count).map((id) => [id, 0])))).length
  const perSession = length(2) - length(1)
  // A comma follows each group.
  const perGroup = length(1) - perSession + 1
  const available = room * (1 - operatorShare) - JSON.stringify({ Version: '2012-10-17', Statement: [] }).length
  let leases = Math.max(0, Math.floor(available / perSession))
  while (leases > 0 && Math.ceil(leases / groupSize) * perGroup + leases * perSession > available) leases--
  return leases
}

/** The policy's text, or null where it is longer than `room`. */
function render(document: DenyDocument, ends: ReadonlyMap<string, number>, room: number): string | null {
  const statements = [...document.foreign, ...grouped(document, ends)]
  if (statements.length === 0) statements.push(denyStatement(readySid, ['*:hallpass-ready']))
  const text = JSON.stringify({ ...document.members, Version: '2012-10-17', Statement: statements })
  return text.length <= room ? text : null
}

function grouped(document: DenyDocument, ends: ReadonlyMap<string, number>): Statement[] {
  const taken = new Set(document.foreign.map((statement) => statement.Sid))
  const sorted = [...ends].sort(([, a], [, b]) => a - b)
  const statements: Statement[] = []
  for (let at = 0; at < sorted.length; at += groupSize) {
    const group = new Map(sorted.slice(at, at + groupSize))
    let base = Math.floor(Math.min(...group.values()) / minuteMs) * minuteMs
    // A Sid may stand only once in a document; an earlier base writes the same ends differently.
    while (taken.has(sidOf(base, group))) base -= minuteMs
    taken.add(sidOf(base, group))
    statements.push(groupStatement(base, group))
  }
  return statements
}

function groupStatement(base: number, group: ReadonlyMap<string, number>): Statement {
  return denyStatement(
    sidOf(base, group),
    [...group.keys()].sort().map((session) => `*:${session}`),
  )
}

/** The base, then for each session in the order of names its end in minutes after the base: two digits to base 36. */
function sidOf(base: number, group: ReadonlyMap<string, number>): string {
  const minutes = [...group].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, end]) => Math.ceil((end - base) / minuteMs))
  // 36 * 36 minutes are more than the longest session there is; what lies beyond is denied for as long as can be said.
  const digits = minutes.map((count) => Math.min(1_295, count).toString(36).padStart(2, '0'))
  return `hpUntil${new Date(base).toISOString().slice(0, 16).replace(/[-:]/g, '')}Zp${digits.join('')}`
}

/** aws:userid of a role's session is `<role id>:<session name>`; session names are lease ids, so the name alone is unique. */
function denyStatement(sid: string, patterns: readonly string[]): Statement {
  const condition = { StringLike: { 'aws:userid': patterns } }
  return { Sid: sid, Effect: 'Deny', Action: '*', Resource: '*', Condition: condition }
}

/** Sessions and ends of a statement that is exactly one of ours; null for anything else, which is then kept untouched. */
function parseOurs(statement: Statement): Map<string, number> | null {
  const sid = typeof statement.Sid === 'string' ? statement.Sid : ''
  const condition = isObject(statement.Condition) ? statement.Condition : {}
  const like = isObject(condition.StringLike) ? condition.StringLike : {}
  const patterns = like['aws:userid']
  if (!Array.isArray(patterns) || !patterns.every((item) => typeof item === 'string' && item.startsWith('*:')))
    return null
  if (canonicalJson(statement) !== canonicalJson(denyStatement(sid, patterns as string[]))) return null
  if (sid === readySid) return new Map()
  const stamp = /^hpUntil(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Zp((?:[0-9a-z]{2})*)$/.exec(sid)
  const digits = stamp?.[6] ?? ''
  if (!stamp || digits.length !== 2 * patterns.length) return null
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = stamp.slice(1, 6).map(Number)
  const base = Date.UTC(year, month - 1, day, hour, minute)
  const sessions = patterns.map((item) => String(item).slice(2)).sort()
  return new Map(
    sessions.map((session, n) => [session, base + Number.parseInt(digits.slice(2 * n, 2 * n + 2), 36) * minuteMs]),
  )
}

function parseObject(text: string): Statement {
  let value: unknown
  try {
    // IAM answers documents percent-encoded (RFC 3986); some of its stand-ins as they are.
    value = JSON.parse(text.trimStart().startsWith('{') ? text : decodeURIComponent(text))
  } catch {
    throw unreadable()
  }
  if (!isObject(value) || value.Statement === undefined) throw unreadable()
  return value
}

function isObject(value: unknown): value is Statement {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unreadable(): ProviderError {
  return new ProviderError('permanent', 'the deny policy on the role is not a policy document; it is left as it is')
}
