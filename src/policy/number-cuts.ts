// Where policies compare a number of the context with a literal, and so between which numbers a decision stays as it is. Counts
// and seconds change with every request: only where one has left its range is the decision made again, so that a busy pipeline
// neither conflicts with itself (I8) nor asks Cedar the same thing in ever other words.
import type { PolicyJson } from './cedar.js'
import type { DecisionInput } from './decision.js'
import { pathOf } from './policy-uses.js'

/** Every number of the generated schema's context that is not declared by the caller, by its path. */
const numbers = [
  'requested_ttl_seconds',
  'recent_denials',
  'task.age_seconds',
  'task.depth',
  'task.active_leases',
  'session.active_leases',
  'account.active_leases',
] as const
type NumberPath = (typeof numbers)[number]

const countedMembers = ['task', 'session', 'account'] as const
export type Counted = (typeof countedMembers)[number]

/**
 * The values `k` for which it matters whether a number is at least `k`. Null: it is used in another way than by comparison with
 * a literal, so each value matters.
 */
export type NumberCuts = Readonly<Record<NumberPath, readonly number[] | null>>

/** A decision that read a count of leases holds as long as the count is within; both ends count. */
export interface CountRange {
  readonly of: Counted
  readonly min: number
  readonly max: number
}

type Found = Record<NumberPath, Set<number> | null>

const nothingFound = (): Found => Object.fromEntries(numbers.map((path) => [path, new Set<number>()])) as Found

/** What of the numbers one policy's conditions read. */
export function cutsOf(json: PolicyJson): NumberCuts {
  const found = nothingFound()
  for (const clause of json.conditions) walk(clause.body, found)
  return cutsFrom(found)
}

/** What any of them reads. */
export function joinCuts(all: readonly NumberCuts[]): NumberCuts {
  const joined = nothingFound()
  for (const cuts of all) {
    for (const path of numbers) {
      const own = cuts[path]
      if (own === null) joined[path] = null
      else for (const cut of own) joined[path]?.add(cut)
    }
  }
  return cutsFrom(joined)
}

/** The ranges within which these counts may move without anything being decided otherwise; none for what nobody reads. */
export function rangesOf(cuts: NumberCuts, input: Pick<DecisionInput, Counted>): CountRange[] {
  return countedMembers.flatMap((of): CountRange[] => {
    const [own, count] = [cuts[`${of}.active_leases`], input[of].activeLeases]
    if (own === null) return [{ of, min: count, max: count }]
    if (own.length === 0) return []
    const max = Math.min(Number.MAX_SAFE_INTEGER, ...own.filter((cut) => cut > count).map((cut) => cut - 1))
    return [{ of, min: leastAlike(own, count), max }]
  })
}

/** The input with each number at the least that is decided alike: what differs only within ranges becomes one question. */
export function roundDown(cuts: NumberCuts, input: DecisionInput): DecisionInput {
  const { task, session, account } = input
  return {
    ...input,
    requestedTtlSeconds: leastAlike(cuts.requested_ttl_seconds, input.requestedTtlSeconds),
    recentDenials: leastAlike(cuts.recent_denials, input.recentDenials),
    task: {
      ageSeconds: leastAlike(cuts['task.age_seconds'], task.ageSeconds),
      depth: leastAlike(cuts['task.depth'], task.depth),
      activeLeases: leastAlike(cuts['task.active_leases'], task.activeLeases),
    },
    session: { ...session, activeLeases: leastAlike(cuts['session.active_leases'], session.activeLeases) },
    account: { ...account, activeLeases: leastAlike(cuts['account.active_leases'], account.activeLeases) },
  }
}

/** None of these is ever below zero or broken; one that is, is left as it is. */
function leastAlike(cuts: readonly number[] | null, value: number): number {
  if (cuts === null || !Number.isInteger(value) || value < 0) return value
  return Math.max(0, ...cuts.filter((cut) => cut <= value))
}

const cutsFrom = (found: Found): NumberCuts =>
  Object.fromEntries(numbers.map((path) => [path, found[path] && [...found[path]]])) as unknown as NumberCuts

/** `count < k` and `count >= k` turn at k; `<=` and `>` at k + 1; `==` and `!=` at both. */
const turnsAt: Readonly<Record<string, readonly number[]>> = {
  '<': [0],
  '>=': [0],
  '<=': [1],
  '>': [1],
  '==': [0, 1],
  '!=': [0, 1],
}
/** `k < count` says of the count what `count > k` says. */
const mirrored: Readonly<Record<string, string>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=' }

/** What it does not know it walks through, so that no count that is read is missed. */
function walk(node: unknown, found: Found): void {
  if (Array.isArray(node)) for (const item of node) walk(item, found)
  if (!isNode(node) || Array.isArray(node)) return
  for (const [kind, body] of Object.entries(node)) {
    if (kind === 'Value') continue
    if (kind === 'Var' && body === 'context') noteAny(numbers, found)
    // The members of a record are named by the policy's author: `{ Var: … }` there is no variable.
    else if (kind === 'Record' && isNode(body)) for (const member of Object.values(body)) walk(member, found)
    else if ((kind === '.' || kind === 'has') && isNode(body)) walkAccess(kind, body, found)
    else if (!isNode(body) || !noteComparison(kind, body, found)) walk(body, found)
  }
}

function walkAccess(kind: string, body: Record<string, unknown>, found: Found): void {
  const path = pathOf(body)
  if (path === null) walk(body.left, found)
  const [root, ...names] = path ?? []
  // That something is there says nothing of how much it is.
  if (root !== 'context' || kind === 'has') return
  const read = names.slice(0, 2).join('.')
  noteAny(
    numbers.filter((number) => number === read || number.startsWith(`${read}.`)),
    found,
  )
}

function noteComparison(kind: string, { left, right }: Record<string, unknown>, found: Found): boolean {
  if (!Object.hasOwn(turnsAt, kind)) return false
  const [path, literal] = [numberOf(left) ?? numberOf(right), literalOf(right) ?? literalOf(left)]
  if (path === null || literal === null) return false
  const turns = turnsAt[numberOf(left) === null ? (mirrored[kind] ?? kind) : kind] ?? []
  for (const turn of turns) found[path]?.add(literal + turn)
  return true
}

function numberOf(node: unknown): NumberPath | null {
  const access = isNode(node) ? node['.'] : undefined
  const [root, ...names] = (isNode(access) ? pathOf(access) : null) ?? []
  return root === 'context' ? (numbers.find((number) => number === names.join('.')) ?? null) : null
}

function literalOf(node: unknown): number | null {
  return isNode(node) && typeof node.Value === 'number' ? node.Value : null
}

function noteAny(paths: readonly NumberPath[], found: Found): void {
  for (const path of paths) found[path] = null
}

function isNode(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
