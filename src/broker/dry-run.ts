// What an exchange would be answered, without one: decided on the same look, nothing reserved, nothing minted.
import type { CredentialRequest } from '../api/credentials.js'
import { BrokerError } from '../core/errors.js'
import type { Decision } from '../policy/decision.js'
import { resolveAsked } from './asked.js'
import { decide } from './decide.js'
import { lookAt } from './look.js'
import { resolveNamedApproval } from './named-approval.js'
import type { Caller, Parts } from './parts.js'
import { refuse } from './refusal.js'
import { worldOf } from './reserve.js'

/** Throws what the exchange would throw up to the decision; a denial is the same 403. Nobody is asked to approve anything. */
export async function dryRun(
  parts: Parts,
  caller: Caller,
  taskId: string,
  request: CredentialRequest,
): Promise<{ decision: Decision; ttlSeconds: number }> {
  const asked = resolveAsked(parts, request)
  const look = await lookAt(parts, caller, taskId, { idempotencyKey: null, counted: true })
  if (!look.chainOpen) throw new BrokerError('task_closed', `${taskId} has ended`)
  const named = request.approval_id ?? null
  const approval = named === null ? null : await resolveNamedApproval(parts, caller, taskId, named)
  const decided = decide(parts, caller, asked, worldOf(parts, look, approval))
  if (decided.verdict.effect === 'deny') throw await refuse(parts, caller, taskId, decided)
  return { decision: decided.decision, ttlSeconds: decided.verdict.ttlSeconds }
}
