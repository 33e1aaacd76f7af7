// The one look at the ledger that a decision rests on, with what must hold before anything is decided.
import { clockToleranceMs } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import type { Holder, Task } from '../ledger/task.js'
import type { Look } from '../ledger/way-out.js'
import { ownHolders } from './holders.js'
import { recordedPrincipal } from './hops.js'
import type { Caller, Parts } from './parts.js'
import { rateExceeded, rateToCount } from './request-rate.js'
import { checkOwner } from './task-access.js'

/**
 * Looks at the task, its chain and holders; the first look of a request counts it by its account's rate.
 * Throws `rate` (429), `not_found` (also for another's task), `not_permitted` (an issuer no longer takes somebody above), `clock`
 * (503).
 */
export async function lookAt(
  parts: Parts,
  caller: Caller,
  taskId: string,
  idempotencyKey: string | null,
): Promise<Look> {
  const look = await parts.ledger.look(taskId, idempotencyKey, rateToCount(parts, caller))
  if (look !== 'not_found' && 'rateRetryAfterSeconds' in look) throw rateExceeded(look.rateRetryAfterSeconds)
  await checkOwner(parts, caller, taskId, look === 'not_found' ? null : look.task)
  if (look === 'not_found') throw new BrokerError('internal', `a look without the task ${taskId}`)
  checkStillVouchedFor(parts, look.ancestors)
  if (Math.abs(look.now - parts.clock.now()) > clockToleranceMs) {
    throw new BrokerError('clock', "this broker's clock is more than 5 s off the ledger's", { retryAfterSeconds: 10 })
  }
  return look
}

/**
 * Nobody below acts for somebody whose issuer the operator has removed, or who is not what it requires by now: that one could
 * not ask for itself any more. What the record cannot tell is left to those who judge live leases. Throws `not_permitted`.
 */
export function checkStillVouchedFor(parts: Parts, ancestors: readonly Task[]): void {
  const rules = parts.rules()
  for (const task of ancestors) {
    const { id, issuer, subject, attributes } = recordedPrincipal(task)
    if (!rules.isWorkloadIssuer(issuer)) {
      throw new BrokerError('not_permitted', `${id} stands above, of an issuer that is not configured any more`)
    }
    if (rules.requirements.findUnmet({ issuer, subject, attributes }, null) !== null) {
      throw new BrokerError('not_permitted', `${id} stands above, and is not what its issuer has to vouch for by now`)
    }
  }
}

/** Counts a denial against the session and the account that asked; who stands above did not. */
export async function noteDenial(parts: Parts, { principal }: Caller, holders: readonly Pick<Holder, 'id'>[]) {
  await parts.ledger.noteDenial(ownHolders(holders, principal).map((holder) => holder.id))
}
