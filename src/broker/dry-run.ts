// What an exchange would be answered, without one: decided on the same look, nothing reserved, nothing minted.
import type { CredentialRequest } from '../api/credentials.js'
import type { OpenTaskRequest } from '../api/tasks.js'
import { BrokerError } from '../core/errors.js'
import { fillRecipe } from '../grants/recipe.js'
import type { Decision } from '../policy/decision.js'
import type { JsonObject } from '../providers/provider.js'
import { boundOf, personsBehind } from './approval-bound.js'
import { ApprovalWanted } from './ask-approval.js'
import { decide } from './decide.js'
import { decideAll } from './decide-all.js'
import { draftTask } from './draft-task.js'
import { requestTargets } from './lock-targets.js'
import { checkUnlocked } from './locked-by.js'
import { lookAt } from './look.js'
import { checkNamedApproval, resolveNamedApproval } from './named-approval.js'
import type { Caller, Parts } from './parts.js'
import { refuse } from './refusal.js'
import { worldOf } from './reserve.js'
import { type ResolvedRequest, resolveRequest, resolveRequests } from './resolved-request.js'
import { takeDelegation } from './take-delegation.js'

export interface DryRun {
  readonly decision: Decision
  readonly ttlSeconds: number | null
}

/**
 * Throws what the exchange would throw up to the reservation; a denial is the same 403. Nobody is asked to approve anything, and
 * an approval that the request names stays good: given and of this very request, it is a permit.
 */
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
  const recipe = filledRecipe(resolved, taskId)
  const { ttlSeconds } = decided.verdict
  if (approval === null) return { decision: decided.decision, ttlSeconds }
  const { task, ancestors, now } = look
  const bound = boundOf(resolved, task, recipe, decided, personsBehind(caller, [task, ...ancestors]))
  try {
    await checkNamedApproval(parts, caller, approval, { bound, decided, now })
  } catch (error) {
    if (error instanceof ApprovalWanted) return { decision: decided.decision, ttlSeconds }
    throw error
  }
  return { decision: { ...decided.decision, effect: 'permit' }, ttlSeconds }
}

/** Throws `unfillable_recipe`: what a plan says yes to must not be refused for its own sake. */
function filledRecipe({ grant, resource, declared }: ResolvedRequest, taskId: string): JsonObject {
  return fillRecipe(grant.recipe, { resource, declared, task: { id: taskId } })
}

/** The same of a task that would be opened with these credentials; none is. Throws what opening would, up to the decisions. */
export async function dryRunOpening(parts: Parts, caller: Caller, request: OpenTaskRequest): Promise<DryRun[]> {
  const requested = resolveRequests(parts, request.credentials ?? [])
  const taken = await takeDelegation(parts, caller, request.delegation)
  const ancestors = taken?.chain ?? []
  const chain = ancestors.map((task) => task.id)
  for (const { resolved } of requested) await checkUnlocked(parts, requestTargets(caller, resolved, chain, ancestors))
  const draft = draftTask(parts, caller, request, taken)
  const decided = await decideAll(parts, caller, { draft, ancestors, requested }, { countsDenials: false })
  for (const { resolved } of requested) filledRecipe(resolved, draft.id)
  return decided.map(({ decision, verdict }) => ({
    decision,
    ttlSeconds: 'ttlSeconds' in verdict ? verdict.ttlSeconds : null,
  }))
}
