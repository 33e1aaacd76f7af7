// What an exchange would be answered, without one: decided on the same look, nothing reserved, nothing minted.
import type { CredentialRequest } from '../api/credentials.js'
import { BrokerError } from '../core/errors.js'
import type { Decision } from '../policy/decision.js'
import { resolveAsked } from './asked.js'
import { decide } from './decide.js'
import { lookAt } from './look.js'
import type { Caller, Parts } from './parts.js'
import { refuse } from './refusal.js'

/** Throws what the exchange would throw up to the decision; a denial is the same 403. */
export async function dryRun(
  parts: Parts,
  caller: Caller,
  taskId: string,
  request: CredentialRequest,
): Promise<{ decision: Decision; ttlSeconds: number }> {
  const asked = resolveAsked(parts, request)
  const look = await lookAt(parts, caller, taskId, { idempotencyKey: null, counted: true })
  if (!look.chainOpen) throw new BrokerError('task_closed', `${taskId} has ended`)
  const task = { ...look.task, expiresAt: look.chainExpiresAt }
  const decided = decide(parts, caller, asked, {
    now: look.now,
    task,
    holders: look.holders,
    ancestors: look.ancestors,
  })
  if (decided.verdict.effect !== 'permit') throw await refuse(parts, caller, taskId, decided)
  return { decision: decided.decision, ttlSeconds: decided.verdict.ttlSeconds }
}
