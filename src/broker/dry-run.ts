// What an exchange would be answered, without one: decided on the same look, nothing reserved, nothing minted.
import type { CredentialRequest } from '../api/credentials.js'
import type { OpenTaskRequest } from '../api/tasks.js'
import { BrokerError } from '../core/errors.js'
import { fillRecipe } from '../grants/recipe.js'
import type { Decision } from '../policy/decision.js'
import type { JsonObject } from '../providers/provider.js'
import { boundOf, personsBehind } from './approval-bound.js'
import { ApprovalWanted } from './ask-approval.js'
import { type Asked, resolveAsked, resolveEach } from './asked.js'
import { decide } from './decide.js'
import { draftTask } from './draft-task.js'
import { checkUnlocked, requestTargets } from './locked-by.js'
import { lookAt } from './look.js'
import { checkNamedApproval, resolveNamedApproval } from './named-approval.js'
import { decideAll } from './open-task.js'
import type { Caller, Parts } from './parts.js'
import { refuse } from './refusal.js'
import { worldOf } from './reserve.js'
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
  const asked = resolveAsked(parts, request)
  const look = await lookAt(parts, caller, taskId, { idempotencyKey: null, counted: true })
  if (!look.chainOpen) throw new BrokerError('task_closed', `${taskId} has ended`)
  await checkUnlocked(parts, requestTargets(caller, asked, look.task.chain, look.ancestors))
  const named = request.approval_id ?? null
  const approval = named === null ? null : await resolveNamedApproval(parts, caller, taskId, named)
  const decided = decide(parts, caller, asked, worldOf(parts, look, approval))
  if (decided.verdict.effect === 'deny') throw await refuse(parts, caller, taskId, decided)
  const recipe = fillAsked(asked, taskId)
  const { ttlSeconds } = decided.verdict
  if (approval === null) return { decision: decided.decision, ttlSeconds }
  const bound = boundOf(asked, look.task, recipe, decided, personsBehind(caller, [look.task, ...look.ancestors]))
  try {
    await checkNamedApproval(parts, caller, approval, { bound, decided, now: look.now })
  } catch (error) {
    if (error instanceof ApprovalWanted) return { decision: decided.decision, ttlSeconds }
    throw error
  }
  return { decision: { ...decided.decision, effect: 'permit' }, ttlSeconds }
}

/** Throws `unfillable_recipe`: what a plan says yes to must not be refused for its own sake. */
function fillAsked({ grant, resource, declared }: Asked, taskId: string): JsonObject {
  return fillRecipe(grant.recipe, { resource, declared, task: { id: taskId } })
}

/** The same of a task that would be opened with these credentials; none is. Throws what opening would, up to the decisions. */
export async function dryRunOpening(parts: Parts, caller: Caller, request: OpenTaskRequest): Promise<DryRun[]> {
  const wanted = resolveEach(parts, request.credentials ?? [])
  const taken = await takeDelegation(parts, caller, request.delegation)
  const above = taken?.chain ?? []
  const chain = above.map((task) => task.id)
  for (const { asked } of wanted) await checkUnlocked(parts, requestTargets(caller, asked, chain, above))
  const draft = draftTask(parts, caller, request, taken)
  const decided = await decideAll(parts, caller, draft, wanted, above, true)
  for (const { asked } of wanted) fillAsked(asked, draft.id)
  return decided.map(({ decision, verdict }) => ({
    decision,
    ttlSeconds: 'ttlSeconds' in verdict ? verdict.ttlSeconds : null,
  }))
}
