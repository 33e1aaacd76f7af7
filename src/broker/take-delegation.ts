// Whoever opens a child task brings a delegation: is it for this caller, and may the chain grow by it?
import { BrokerError } from '../core/errors.js'
import type { Principal } from '../identity/principal.js'
import type { Delegation } from '../ledger/delegation.js'
import type { Task } from '../ledger/task.js'
import { checkStillVouchedFor } from './look.js'
import type { Caller, Parts } from './parts.js'
import { appendRefusal } from './record-refusal.js'
import { notFound } from './task-access.js'

export interface TakenDelegation {
  readonly delegation: Delegation
  /** The parent's task and all above it. */
  readonly chain: readonly Task[]
}

/**
 * The delegation that the caller opens a task with; null for a root task. It is used up when the task is written, not here.
 * Throws `not_found` (unknown, over, or another's, which is audited), `task_closed`, `quota` (depth), `not_permitted` (a cycle;
 * somebody above whom the issuer would not vouch for any more).
 */
export async function takeDelegation(
  parts: Parts,
  caller: Caller,
  named: string | undefined,
): Promise<TakenDelegation | null> {
  const { principal } = caller
  const id = named ?? principal.delegation
  if (id === undefined) return null
  const delegation = await parts.ledger.findDelegation(id)
  if (delegation === null || !isDelegate(delegation, principal)) {
    await recordStranger(parts, caller, id, delegation)
    throw notFound('delegation')
  }
  const chain = await parts.ledger.findTasks(delegation.record.chain)
  if (chain.length < delegation.record.chain.length || chain.some((task) => task.state !== 'open')) {
    throw new BrokerError('task_closed', 'the task that this delegation is of has ended')
  }
  checkDepth(parts, chain)
  checkNoCycle(chain, principal)
  // Each request below would be refused: before anybody is asked to approve one.
  checkStillVouchedFor(parts, chain)
  return { delegation, chain }
}

/** A token of a delegation stands for that one alone; everybody else is compared as its issuer vouches. */
function isDelegate({ id, record: { delegate } }: Delegation, principal: Principal): boolean {
  if ('agent' in delegate) return principal.delegation === id
  if (principal.delegation !== undefined) return false
  const isNamed = delegate.issuer === principal.issuer && delegate.subject === principal.subject
  return isNamed && (delegate.instance === undefined || delegate.instance === principal.instance)
}

async function recordStranger(parts: Parts, caller: Caller, id: string, delegation: Delegation | null): Promise<void> {
  await appendRefusal(parts, caller, {
    code: 'not_found',
    reason: delegation === null ? 'no such delegation' : 'for another delegate',
    delegation: id,
    ...(delegation === null ? {} : { task: delegation.record.task }),
  })
}

/** Throws `quota`: a task below the first of `chain` would be deeper than `limits.task.depth`. */
export function checkDepth(parts: Parts, [parent]: readonly Task[]): void {
  const { depth } = parts.rules().limits.task
  if ((parent?.depth ?? 0) < depth) return
  throw new BrokerError('quota', `limits.task.depth is reached: no chain is deeper than ${depth}`)
}

/**
 * Throws `not_permitted` where the principal stands above somebody who stands above it: it would act for itself under another's
 * name. Below itself it may stand: `exec` within `exec` does.
 */
export function checkNoCycle(chain: readonly Task[], delegate: Pick<Principal, 'id' | 'instance'>): void {
  const isSame = (task: Task) => task.principal === delegate.id && task.instance === delegate.instance
  const others = chain.findIndex((task) => !isSame(task))
  if (others < 0 || !chain.slice(others).some(isSame)) return
  throw new BrokerError('not_permitted', `${delegate.id} stands higher up in this chain already: that is a cycle`)
}
