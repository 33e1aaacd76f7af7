// Decisions as they were and as they would be → who gains, who loses, what changes: grouped, with examples and totals.
import type { SimulatedChange } from '../api/simulate.js'
import { type ChangeKind, changeOf, differencesOf, type VerdictView } from './compare-verdicts.js'
import type { RecordedDecision } from './recorded-decision.js'

type Decided = Pick<RecordedDecision, 'id' | 'time' | 'task' | 'principal' | 'account' | 'action' | 'resource'>

const examplesPerGroup = 3

export class ChangeTally {
  readonly #groups = new Map<string, Mutable<SimulatedChange>>()
  readonly #maxGroups: number
  readonly counts: Record<ChangeKind, number> = { gain: 0, loss: 0, change: 0, none: 0 }
  /** Decisions that would have made a group beyond the bound; they are in the counts. */
  notListed = 0

  constructor(maxGroups: number) {
    this.#maxGroups = maxGroups
  }

  get decisions(): number {
    return this.counts.gain + this.counts.loss + this.counts.change + this.counts.none
  }

  add(decided: Decided, before: VerdictView, after: VerdictView): ChangeKind {
    const kind = changeOf(before, after)
    this.counts[kind]++
    if (kind === 'none') return kind
    const group = this.#groupOf(kind, decided, before, after)
    if (group === null) {
      this.notListed++
      return kind
    }
    group.decisions++
    const { id, resource, task, time } = decided
    if (group.examples.length < examplesPerGroup) group.examples.push({ decision: id, resource, task, time })
    return kind
  }

  /** Losses first, since they stop people; then gains, then the rest; the most decisions first. */
  groups(): SimulatedChange[] {
    const order = ['loss', 'gain', 'change']
    return [...this.#groups.values()].sort(
      (a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || b.decisions - a.decisions,
    )
  }

  /** All of it, under the names that a simulation of recorded decisions answers with. */
  sums() {
    const { gain, loss, change, none } = this.counts
    return {
      decisions: this.decisions,
      gains: gain,
      losses: loss,
      changes: change,
      unchanged: none,
      groups: this.groups(),
      not_listed: this.notListed,
    }
  }

  #groupOf(
    kind: SimulatedChange['kind'],
    { principal, account, action }: Decided,
    before: VerdictView,
    after: VerdictView,
  ) {
    const members = differencesOf(before, after).map(({ member }) => member)
    const sides = [before, after].map(({ effect, reason, policies }) => [effect, reason, policies])
    const key = JSON.stringify([kind, principal, account, action, members, sides])
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    if (this.#groups.size >= this.#maxGroups) return null
    const group: Mutable<SimulatedChange> = {
      kind,
      principal,
      account,
      action,
      members,
      before: toWire(before),
      after: toWire(after),
      decisions: 0,
      examples: [],
    }
    this.#groups.set(key, group)
    return group
  }
}

type Mutable<T> = { -readonly [name in keyof T]: T[name] }

/** The same members in lists of their own. */
export function toWire(view: VerdictView): SimulatedChange['before'] {
  return { ...view, policies: [...view.policies], approvals: view.approvals.map((one) => ({ ...one })) }
}
