// Everything that is written with the reservation: the filled recipe, and the mark by which a half-made credential is found.
import { fillEnv, fillRecipe } from '../grants/recipe.js'
import type { LeaseRecord } from '../ledger/lease.js'
import type { Look } from '../ledger/way-out.js'
import type { JsonObject, LeaseToIssue } from '../providers/provider.js'
import type { Decided } from './decide.js'
import { sensitivityOf } from './holders.js'
import type { LeaseRequest } from './lease-request.js'
import type { Caller } from './parts.js'

export interface Prepared {
  readonly toIssue: Omit<LeaseToIssue, 'remainingMs'>
  readonly record: LeaseRecord
  readonly recipe: JsonObject
  readonly env: Readonly<Record<string, string>>
}

/** No network, nothing stored. Throws `unfillable_recipe` (422). The deadline is the ledger's to set: here it is foreseen. */
export function prepare(caller: Caller, request: LeaseRequest, look: Look, decided: Decided): Prepared {
  const { grant, resource, declared } = request.resolved
  const recipe = fillRecipe(grant.recipe, { resource, declared, task: { id: look.task.id } })
  const toIssue = leaseToIssue(caller, request, look, decided)
  return {
    recipe,
    toIssue,
    record: recordOf(request, look, decided, recipe, toIssue, caller),
    env: fillEnv(grant.env, resource),
  }
}

function leaseToIssue(
  caller: Caller,
  { resolved, leaseId }: LeaseRequest,
  { now, task, ancestors }: Look,
  { verdict }: Decided,
) {
  const { principal } = caller
  const ttlSeconds = 'ttlSeconds' in verdict ? verdict.ttlSeconds : resolved.ttlSeconds
  return {
    id: leaseId,
    taskId: task.id,
    chain: [task, ...ancestors].map((one) => ({
      principal: one.principal,
      task: one.id,
      ...(one.agent === undefined ? {} : { agent: one.agent }),
    })),
    principal: principal.id,
    account: principal.account,
    action: resolved.grant.action,
    access: resolved.grant.access,
    resource: resolved.resource.id,
    declared: resolved.declared,
    deadline: now + ttlSeconds * 1000,
    // A key that the caller chose by itself binds nothing: whoever verifies the credential would believe it did.
    jkt: principal.binding === 'dpop' ? (principal.jkt ?? null) : null,
    ...(principal.binding === 'mtls' && principal.x5t !== undefined ? { x5t: principal.x5t } : {}),
  }
}

function recordOf(
  { resolved }: LeaseRequest,
  { task, ancestors }: Look,
  decided: Decided,
  recipe: JsonObject,
  toIssue: Prepared['toIssue'],
  caller: Caller,
): LeaseRecord {
  const { provider, grant, resource } = resolved
  const { revocation, sessions, propagationSeconds } = provider.guarantees(recipe)
  const sensitivity = sensitivityOf(resource)
  const capacity = provider.capacity?.(recipe)
  const follows = decided.escalation?.follows
  const above = ancestors.filter((one) => one.principal !== task.principal || one.account !== task.account)
  return {
    task: task.id,
    chain: task.chain,
    ...(above.length === 0 ? {} : { above: above.map(({ principal, account }) => ({ principal, account })) }),
    holders: task.holders.map((holder) => holder.id),
    principal: toIssue.principal,
    account: toIssue.account,
    action: grant.action,
    access: grant.access,
    resource: resource.id,
    ...(sensitivity === null ? {} : { sensitivity }),
    provider: provider.name,
    revocation,
    sessions,
    ...(propagationSeconds > 0 ? { propagation: propagationSeconds } : {}),
    mark: provider.plan(toIssue, recipe),
    ...(capacity ? { capacity: capacity.key } : {}),
    ttl: decided.rememberedTtlSeconds,
    policies: decided.decision.policies,
    decision: decided.decision.id,
    request: caller.requestId,
    ...(follows ? { follows } : {}),
    ...(Object.keys(resolved.declared).length > 0 ? { declared: resolved.declared } : {}),
    ...(caller.principal.binding === 'none' ? {} : { binding: caller.principal.binding }),
    ...approvedBy(decided),
  }
}

/** What stays of the approval with the lease: asked again, it need not be given again. */
function approvedBy({ verdict, input }: Decided): Pick<LeaseRecord, 'approval'> {
  if (input.approval === undefined || verdict.effect !== 'approval_required') return {}
  return { approval: { policy: verdict.offer.policy, requirements: verdict.approvals, given: input.approval } }
}
