// Where policies compare `active_leases` of task, session or account with a number, and so between which counts a decision
// stays as it is. Counts change with every lease: only where one has left its range is the decision made again, so that
// a busy pipeline does not conflict with itself (I8).
import type { PolicyJson } from './cedar.js'
import { pathOf } from './policy-uses.js'

export const countedMembers = ['task', 'session', 'account'] as const
export type Counted = (typeof countedMembers)[number]

/**
 * The counts `c` for which it matters whether there are at least `c` leases. Null: a count is used in another way than by
 * comparison with a literal, so each one matters.
 */
export type CountCuts = Readonly<Record<Counted, readonly number[] | null>>

/** A decision that read a count holds as long as the count is within; both ends count. */
export interface CountRange {
  readonly of: Counted
  readonly min: number
  readonly max: number
}

type Found = Record<Counted, Set<number> | null>

/** What of the counts one policy's conditions read. */
export function cutsOf(json: PolicyJson): CountCuts {
  const found: Found = { task: new Set(), session: new Set(), account: new Set() }
  for (const clause of json.conditions) walk(clause.body, found)
  return cutsFrom(found)
}

/** What any of them reads. */
export function joinCuts(all: readonly CountCuts[]): CountCuts {
  const joined: Found = { task: new Set(), session: new Set(), account: new Set() }
  for (const cuts of all) {
    for (const name of countedMembers) {
      const own = cuts[name]
      if (own === null) joined[name] = null
      else for (const cut of own) joined[name]?.add(cut)
    }
  }
  return cutsFrom(joined)
}

/** The ranges within which these counts may move without anything being decided otherwise; none for what nobody reads. */
export function rangesOf(cuts: CountCuts, counts: Readonly<Record<Counted, number>>): CountRange[] {
  return countedMembers.flatMap((of): CountRange[] => {
    const [own, count] = [cuts[of], counts[of]]
    if (own === null) return [{ of, min: count, max: count }]
    if (own.length === 0) return []
    const min = Math.max(0, ...own.filter((cut) => cut <= count))
    const max = Math.min(Number.MAX_SAFE_INTEGER, ...own.filter((cut) => cut > count).map((cut) => cut - 1))
    return [{ of, min, max }]
  })
}

const cutsFrom = (found: Found): CountCuts => ({
  task: found.task && [...found.task],
  session: found.session && [...found.session],
  account: found.account && [...found.account],
})

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
    if (kind === 'Var' && body === 'context') noteAny(countedMembers, found)
    // The members of a record are named by the policy's author: `{ Var: … }` there is no variable.
    else if (kind === 'Record' && isNode(body)) for (const member of Object.values(body)) walk(member, found)
    else if ((kind === '.' || kind === 'has') && isNode(body)) walkAccess(kind, body, found)
    else if (!isNode(body) || !noteComparison(kind, body, found)) walk(body, found)
  }
}

function walkAccess(kind: string, body: Record<string, unknown>, found: Found): void {
  const path = pathOf(body)
  if (path === null) walk(body.left, found)
  const [root, member, field] = path ?? []
  const names = countedMembers.filter((one) => one === member)
  // That something is there says nothing of how many.
  if (root !== 'context' || kind === 'has') return
  if (field === undefined || field === 'active_leases') noteAny(names, found)
}

function noteComparison(kind: string, { left, right }: Record<string, unknown>, found: Found): boolean {
  if (!Object.hasOwn(turnsAt, kind)) return false
  const [name, literal] = [countOf(left) ?? countOf(right), literalOf(right) ?? literalOf(left)]
  if (name === null || literal === null) return false
  const turns = turnsAt[countOf(left) === null ? (mirrored[kind] ?? kind) : kind] ?? []
  for (const turn of turns) found[name]?.add(literal + turn)
  return true
}

function countOf(node: unknown): Counted | null {
  const access = isNode(node) ? node['.'] : undefined
  const path = isNode(access) ? pathOf(access) : null
  if (path?.length !== 3 || path[0] !== 'context' || path[2] !== 'active_leases') return null
  return countedMembers.find((one) => one === path[1]) ?? null
}

function literalOf(node: unknown): number | null {
  return isNode(node) && typeof node.Value === 'number' ? node.Value : null
}

function noteAny(names: readonly Counted[], found: Found): void {
  for (const name of names) found[name] = null
}

function isNode(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
