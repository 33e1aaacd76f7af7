// Live leases against a set of rules, page by page: which of them it no longer permits. Reads alone; who ends them is another.
import { setImmediate } from 'node:timers/promises'
import type { RequirementDigests } from '../identity/requirements.js'
import { isCurrent, type Lease } from '../ledger/lease.js'
import type { Task } from '../ledger/task.js'
import type { Access } from '../policy/decision.js'
import { isForTheChange, judgeLease } from './change-consequence.js'
import type { CountedLook } from './look-without-lease.js'
import type { Parts, Rules } from './parts.js'
import type { LeaseContext, Objection } from './redecide-lease.js'

export interface Doomed extends Objection {
  readonly lease: string
  readonly access: Access
  readonly sensitivity: string | null
}

export interface JudgeOptions {
  readonly requiredBefore: RequirementDigests | null
  /**
   * The rules that leases were judged by last, where this program still has them. What they, too, would refuse now is no
   * consequence of the change: a rule over what else is held may have been met when the lease was issued, and not be now.
   */
  readonly before: Rules | null
}

/** One step of the event loop is as long as a few decisions: requests get their turn in between. */
const decisionsAtOnce = 8

/**
 * Those of a page that `rules` no longer permit. Leases that are being ended, or could not be, are no share of anything: changed
 * rules are about the others.
 */
export async function judgePage(
  parts: Parts,
  rules: Rules,
  page: readonly Lease[],
  { requiredBefore, before }: JudgeOptions,
  contexts = new LeaseContexts(parts),
): Promise<Doomed[]> {
  const live = page.filter(isCurrent)
  const contextOf = await contexts.of(live, requiredBefore)
  const doomed: Doomed[] = []
  for (const [index, lease] of live.entries()) {
    if (index % decisionsAtOnce === decisionsAtOnce - 1) await setImmediate()
    const context = contextOf(lease)
    if (context === null) {
      parts.log.warn({ lease: lease.id }, 'a live lease without its task cannot be decided again')
      continue
    }
    const objection = judgeLease(parts, rules, lease, context)
    if (objection === null || !isForTheChange(parts, [before, rules], lease, context, objection)) continue
    const { access, resource } = lease.record
    doomed.push({ ...objection, lease: lease.id, access, sensitivity: sensitivityOf(rules, resource) })
  }
  return doomed
}

function sensitivityOf({ catalogue }: Rules, resource: string): string | null {
  const value = catalogue.findResource(resource)?.attributes.sensitivity
  return typeof value === 'string' ? value : null
}

/** Known for so long: many leases share a task and an account, and what is judged is judged in the world of about now. */
const freshMs = 1000
const mostKnown = 20_000

/** Tasks, chains and holders of many leases in a few calls. */
export class LeaseContexts {
  readonly #parts: Parts
  #tasks = new Map<string, Task>()
  #looks = new Map<string, CountedLook>()
  #now = 0
  #since = Number.NEGATIVE_INFINITY

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Of each of the leases; null for one whose chain the ledger does not have whole. */
  async of(leases: readonly Lease[], requiredBefore: RequirementDigests | null) {
    this.#forgetOld()
    const { ledger } = this.#parts
    const ids = [...new Set(leases.flatMap((lease) => lease.record.chain))].filter((id) => !this.#tasks.has(id))
    for (const task of await Promise.all(ids.map((id) => ledger.findTask(id)))) if (task) this.#tasks.set(task.id, task)
    const holders = new Map(
      leases
        .flatMap((lease) => this.#tasks.get(lease.record.task)?.holders ?? [])
        .filter(({ id }) => !this.#looks.has(id))
        .map((holder) => [holder.id, holder]),
    )
    if (holders.size > 0) {
      const { now, holders: looks } = await ledger.lookCounted([...holders.values()])
      this.#now = now
      for (const look of looks) this.#looks.set(look.id, look)
    }
    const [tasks, looks, now] = [this.#tasks, this.#looks, this.#now]
    return ({ record }: Lease): LeaseContext | null => {
      const chain = record.chain.flatMap((id) => tasks.get(id) ?? [])
      if (chain.length < record.chain.length || chain.length === 0) return null
      return { now, chain, looks: record.holders.flatMap((id) => looks.get(id) ?? []), requiredBefore }
    }
  }

  #forgetOld(): void {
    const now = this.#parts.clock.monotonic()
    if (now - this.#since < freshMs && this.#tasks.size + this.#looks.size < mostKnown) return
    this.#tasks = new Map()
    this.#looks = new Map()
    this.#since = now
  }
}
