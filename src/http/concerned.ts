// What an order or a lock is judged on: what its target is about.
import type { Target } from '../api/revocations.js'
import type { Parts } from '../broker/parts.js'
import type { Lease } from '../ledger/lease.js'
import type { LeaseMatch } from '../ledger/ledger.js'

/** What an operator's call is about, as policies see it; null is the whole Broker. */
export interface Concerned {
  readonly resource: string
  readonly action?: string
  readonly access?: string
}

/** Whom and what a lease concerns, for an operator's right to see it. */
export const concernedBy = ({ record }: Lease): Concerned => ({
  resource: record.resource,
  action: record.action,
  access: record.access,
})

/** A lease, a resource and a task are judged on every resource concerned; every other target on the Broker (null). */
export async function concernedByTarget(parts: Parts, target: Target): Promise<(Concerned | null)[]> {
  if ('resource' in target) return [target]
  if (!('lease' in target) && !('task' in target)) return [null]
  const ids = 'lease' in target ? [target.lease] : await leasesBelow(parts, target.task)
  const leases = await parts.ledger.findLeases(ids)
  return leases.length === 0 ? [null] : leases.map(concernedBy)
}

/** Of the task and of every one below it: an order against it ends them all. */
async function leasesBelow(parts: Parts, task: string): Promise<string[]> {
  const tree = await parts.ledger.taskTree(task)
  return (await Promise.all(tree.map((id) => parts.ledger.leasesOfTask(id)))).flat()
}

/** An order is kept by what it matches: one lease, task or resource alone is judged as such a target, all else on the Broker. */
export async function concernedByMatch(parts: Parts, match: LeaseMatch): Promise<(Concerned | null)[]> {
  const { lease, task, resource, ...rest } = match
  const named = [lease, task, resource].filter((one) => one !== undefined)
  if (named.length !== 1 || Object.values(rest).some((one) => one !== undefined)) return [null]
  if (lease !== undefined) return await concernedByTarget(parts, { lease })
  if (task !== undefined) return await concernedByTarget(parts, { task })
  return resource === undefined ? [null] : [{ resource }]
}
