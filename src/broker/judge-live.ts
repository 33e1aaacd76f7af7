// Live leases against a set of rules, page by page: which of them it no longer permits. Reads alone; who ends them is another.
import { setImmediate } from 'node:timers/promises'
import type { RequirementDigests } from '../identity/requirements.js'
import type { Lease } from '../ledger/lease.js'
import type { Task } from '../ledger/task.js'
import type { Access } from '../policy/decision.js'
import type { Parts, Rules } from './parts.js'
import { findObjection, type LeaseContext, type Objection } from './redecide-lease.js'

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

/** Those of a page that `rules` no longer permit. */
export async function judgePage(
  parts: Parts,
  rules: Rules,
  page: readonly Lease[],
  { requiredBefore, before }: JudgeOptions,
): Promise<Doomed[]> {
  const live = page.filter(({ state }) => state === 'reserved' || state === 'active')
  const contextOf = await lookAround(parts, live, requiredBefore)
  const doomed: Doomed[] = []
  for (const [index, lease] of live.entries()) {
    if (index % decisionsAtOnce === decisionsAtOnce - 1) await setImmediate()
    const context = contextOf(lease)
    if (context === null) {
      parts.log.warn({ lease: lease.id }, 'a live lease without its task cannot be decided again')
      continue
    }
    const objection = findObjection(parts, rules, lease, context)
    if (objection === null) continue
    if (before !== null && findObjection(parts, before, lease, context) !== null) continue
    const { access, resource } = lease.record
    doomed.push({ ...objection, lease: lease.id, access, sensitivity: sensitivityOf(rules, resource) })
  }
  return doomed
}

function sensitivityOf({ catalogue }: Rules, resource: string): string | null {
  const value = catalogue.findResource(resource)?.attributes.sensitivity
  return typeof value === 'string' ? value : null
}

/** Tasks, chains and holders of a page in a few calls. */
async function lookAround(parts: Parts, leases: readonly Lease[], requiredBefore: RequirementDigests | null) {
  const ids = [...new Set(leases.flatMap((lease) => lease.record.chain))]
  const tasks = new Map<string, Task>()
  for (const task of await Promise.all(ids.map((id) => parts.ledger.findTask(id)))) if (task) tasks.set(task.id, task)
  const holders = new Map([...tasks.values()].flatMap((task) => task.holders.map((holder) => [holder.id, holder])))
  const { now, holders: looks } = await parts.ledger.lookCounted([...holders.values()])
  const byId = new Map(looks.map((look) => [look.id, look]))
  return ({ record }: Lease): LeaseContext | null => {
    const chain = record.chain.flatMap((id) => tasks.get(id) ?? [])
    if (chain.length < record.chain.length || chain.length === 0) return null
    return { now, chain, looks: record.holders.flatMap((id) => byId.get(id) ?? []), requiredBefore }
  }
}
