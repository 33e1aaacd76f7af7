// POST /v1/tasks with an Idempotency-Key that was used: what was bought with it is told, whatever would be decided now.
import { BrokerError } from '../core/errors.js'
import { equalInConstantTime } from '../core/hash.js'
import type { Lease } from '../ledger/lease.js'
import type { Idempotency } from './idempotency.js'
import type { Caller, Parts } from './parts.js'
import { isOwn } from './task-access.js'
import { leaseView } from './views.js'

export interface PriorOpening {
  readonly task: string
  readonly bodySha256: string
}

/** The 409 or the 422 of a repeated key. `leases`: what the task has, for whoever may release it. */
export function repeatedOpening(
  { task, bodySha256 }: PriorOpening,
  idempotency: Idempotency | null,
  leases: readonly Lease[] = [],
): BrokerError {
  if (!equalInConstantTime(bodySha256, idempotency?.bodySha256 ?? '')) {
    return new BrokerError('idempotency_mismatch', 'this Idempotency-Key was used with another request')
  }
  return new BrokerError('already_issued', `this Idempotency-Key already opened ${task}`, {
    members: { task: { id: task }, ...(leases.length > 0 ? { leases: leases.map(leaseView) } : {}) },
  })
}

/**
 * Before anything is decided: a rule over what the session has by now, or a provider that is away by now, would hide from an
 * honest caller that its first request was carried out. Where less than `wanted` was bought yet (people have to agree first) it
 * goes on. Throws `already_issued`, `idempotency_mismatch`.
 */
export async function checkNotRepeated(
  parts: Parts,
  caller: Caller,
  idempotency: Idempotency | null,
  wanted: number,
): Promise<void> {
  const prior = idempotency === null ? null : await parts.ledger.findOpening(idempotency.key)
  if (prior === null) return
  const [task, leases] = await Promise.all([parts.ledger.findTask(prior.task), parts.ledger.leasesOfTask(prior.task)])
  const isOurs = task !== null && isOwn(task, caller.principal)
  const error = repeatedOpening(prior, idempotency, isOurs ? await parts.ledger.findLeases(leases) : [])
  if (error.code === 'idempotency_mismatch' || leases.length >= Math.max(wanted, 1)) throw error
}
