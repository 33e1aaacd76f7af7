// What an order or a lock is judged on: what its target is about.
import type { Target } from '../api/revocations.js'
import type { Parts } from '../broker/parts.js'
import { type Concerned, concernedBy } from './access.js'

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
