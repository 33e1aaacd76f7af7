// Everything that is written with the reservation: the filled recipe, and the mark by which a half-made credential is found.
import { fillEnv, fillRecipe } from '../grants/recipe.js'
import type { LeaseRecord } from '../ledger/lease.js'
import type { Look } from '../ledger/way-out.js'
import type { JsonObject, LeaseToIssue, Provider } from '../providers/provider.js'
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
  const { resolved } = request
  const { grant, resource, declared } = resolved
  const recipe = fillRecipe(grant.recipe, { resource, declared, task: { id: look.task.id } })
  const toIssue = leaseToIssue(caller, request, look, decided)
  return {
    recipe,
    toIssue,
    record: { ...recordOf(caller, request, look, decided), ...providerFacts(resolved.provider, toIssue, recipe) },
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

/** What never changes of the lease, as far as it is known before the provider is asked. */
function recordOf(
  { principal, requestId }: Caller,
  { resolved }: LeaseRequest,
  { task, ancestors }: Look,
  decided: Decided,
): Omit<LeaseRecord, keyof ReturnType<typeof providerFacts>> {
  const { grant, resource, declared } = resolved
  const sensitivity = sensitivityOf(resource)
  const follows = decided.escalation?.follows
  const above = ancestors.filter((one) => one.principal !== task.principal || one.account !== task.account)
  return {
    task: task.id,
    chain: task.chain,
    ...(above.length === 0 ? {} : { above: above.map((one) => ({ principal: one.principal, account: one.account })) }),
    holders: task.holders.map((holder) => holder.id),
    principal: principal.id,
    account: principal.account,
    action: grant.action,
    access: grant.access,
    resource: resource.id,
    ...(sensitivity === null ? {} : { sensitivity }),
    ttl: decided.rememberedTtlSeconds,
    policies: decided.decision.policies,
    decision: decided.decision.id,
    request: requestId,
    ...(follows ? { follows } : {}),
    ...(Object.keys(declared).length > 0 ? { declared } : {}),
    ...(principal.binding === 'none' ? {} : { binding: principal.binding }),
    ...approvedBy(decided),
  }
}

/** How the credential can be ended, and by which mark it is found, should nobody have noted it. */
function providerFacts(provider: Provider, toIssue: Prepared['toIssue'], recipe: JsonObject) {
  const { revocation, sessions, propagationSeconds } = provider.guarantees(recipe)
  const capacity = provider.capacity?.(recipe)
  return {
    provider: provider.name,
    revocation,
    sessions,
    ...(propagationSeconds > 0 ? { propagation: propagationSeconds } : {}),
    mark: provider.plan(toIssue, recipe),
    ...(capacity ? { capacity: capacity.key } : {}),
  }
}

/** What stays of the approval with the lease: asked again, it need not be given again. */
function approvedBy({ verdict, input }: Decided): Pick<LeaseRecord, 'approval'> {
  if (input.approval === undefined || verdict.effect !== 'approval_required') return {}
  return { approval: { policy: verdict.offer.policy, requirements: verdict.approvals, given: input.approval } }
}
