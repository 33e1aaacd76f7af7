// What an exchange would be answered, without one: decided on the same look, nothing reserved, nothing minted.
import type { CredentialRequest } from '../api/credentials.js'
import type { OpenTaskRequest } from '../api/tasks.js'
import { BrokerError } from '../core/errors.js'
import type { Decision } from '../policy/decision.js'
import { decide } from './decide.js'
import { decideAll } from './decide-all.js'
import { draftTask } from './draft-task.js'
import { checkUnlocked, requestTargets } from './locked-by.js'
import { lookAt } from './look.js'
import { resolveNamedApproval } from './named-approval.js'
import type { Caller, Parts } from './parts.js'
import { refuse } from './refusal.js'
import { worldOf } from './reserve.js'
import { resolveRequest, resolveRequests } from './resolved-request.js'
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
  const resolved = resolveRequest(parts, request)
  const look = await lookAt(parts, caller, taskId, null)
  if (!look.chainOpen) throw new BrokerError('task_closed', `${taskId} has ended`)
  await checkUnlocked(parts, requestTargets(caller, resolved, look.task.chain, look.ancestors))
  const named = request.approval_id ?? null
  const approval = named === null ? null : await resolveNamedApproval(parts, caller, taskId, named)
  const decided = decide(parts, caller, resolved, worldOf(parts, look, approval))
  if (decided.verdict.effect === 'deny') throw await refuse(parts, caller, taskId, decided, { dry_run: true })
  return { decision: decided.decision, ttlSeconds: decided.verdict.ttlSeconds }
}

/** The same of a task that would be opened with these credentials; none is. Throws what opening would, up to the decisions. */
export async function dryRunOpening(parts: Parts, caller: Caller, request: OpenTaskRequest): Promise<DryRun[]> {
  const requested = resolveRequests(parts, request.credentials ?? [])
  const taken = await takeDelegation(parts, caller, request.delegation)
  const ancestors = taken?.chain ?? []
  const chain = ancestors.map((task) => task.id)
  for (const { resolved } of requested) await checkUnlocked(parts, requestTargets(caller, resolved, chain, ancestors))
  const planned = { draft: draftTask(parts, caller, request, taken), ancestors, requested }
  const decided = await decideAll(parts, caller, planned, { countsDenials: false })
  return decided.map(({ decision, verdict }) => ({
    decision,
    ttlSeconds: 'ttlSeconds' in verdict ? verdict.ttlSeconds : null,
  }))
}
