// What an exchange would be answered, without one: decided on the same look, nothing reserved, nothing minted.
import type { CredentialRequest } from '../api/credentials.js'
import type { OpenTaskRequest } from '../api/tasks.js'
import { BrokerError } from '../core/errors.js'
import type { Decision } from '../policy/decision.js'
import { resolveAsked, resolveEach } from './asked.js'
import { decide } from './decide.js'
import { draftTask } from './draft-task.js'
import { checkUnlocked, requestTargets } from './locked-by.js'
import { lookAt } from './look.js'
import { resolveNamedApproval } from './named-approval.js'
import { decideAll } from './open-task.js'
import type { Caller, Parts } from './parts.js'
import { refuse } from './refusal.js'
import { worldOf } from './reserve.js'
import { takeDelegation } from './take-delegation.js'

export interface DryRun {
  readonly decision: Decision
  readonly ttlSeconds: number | null
}

/** Throws what the exchange would throw up to the decision; a denial is the same 403. Nobody is asked to approve anything. */
export async function dryRun(
  parts: Parts,
  caller: Caller,
  taskId: string,
  request: CredentialRequest,
): Promise<DryRun> {
  const asked = resolveAsked(parts, request)
  const look = await lookAt(parts, caller, taskId, null)
  if (!look.chainOpen) throw new BrokerError('task_closed', `${taskId} has ended`)
  await checkUnlocked(parts, requestTargets(caller, asked, look.task.chain, look.ancestors))
  const named = request.approval_id ?? null
  const approval = named === null ? null : await resolveNamedApproval(parts, caller, taskId, named)
  const decided = decide(parts, caller, asked, worldOf(parts, look, approval))
  if (decided.verdict.effect === 'deny') throw await refuse(parts, caller, taskId, decided, { dry_run: true })
  return { decision: decided.decision, ttlSeconds: decided.verdict.ttlSeconds }
}

/** The same of a task that would be opened with these credentials; none is. Throws what opening would, up to the decisions. */
export async function dryRunOpening(parts: Parts, caller: Caller, request: OpenTaskRequest): Promise<DryRun[]> {
  const wanted = resolveEach(parts, request.credentials ?? [])
  const taken = await takeDelegation(parts, caller, request.delegation)
  const above = taken?.chain ?? []
  const chain = above.map((task) => task.id)
  for (const { asked } of wanted) await checkUnlocked(parts, requestTargets(caller, asked, chain, above))
  const decided = await decideAll(parts, caller, draftTask(parts, caller, request, taken), wanted, above, true)
  return decided.map(({ decision, verdict }) => ({
    decision,
    ttlSeconds: 'ttlSeconds' in verdict ? verdict.ttlSeconds : null,
  }))
}
