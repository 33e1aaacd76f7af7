// What a caller may ask for on one resource (`may` of GET /v1/grants), decided as a first request in a new task. No promise: nothing
// is reserved, nothing is written down, and no denial counts against anybody.
import type { Grant } from '../grants/grant.js'
import { fillRecipe } from '../grants/recipe.js'
import type { Resource } from '../policy/decision.js'
import { decide, type World } from './decide.js'
import { draftTask } from './draft-task.js'
import { requestTargets } from './lock-targets.js'
import type { Caller, Parts } from './parts.js'
import { countRequest } from './request-rate.js'
import type { ResolvedRequest } from './resolved-request.js'
import { takeDelegation } from './take-delegation.js'

export type May = 'yes' | 'approval' | 'no'

/** One answer per grant, in order. Counted as one of the account's requests. Throws `rate`, `ledger_unavailable`. */
export async function previewGrants(
  parts: Parts,
  caller: Caller,
  grants: readonly Grant[],
  resource: Resource,
): Promise<May[]> {
  const taken = await takeDelegation(parts, caller, undefined)
  const draft = draftTask(parts, caller, { purpose: 'a plan' }, taken)
  await countRequest(parts, caller)
  const { now, holders } = await parts.ledger.lookHolders(draft.holders)
  const task = { ...draft, openedAt: now, expiresAt: now + draft.expiresAt - draft.openedAt }
  const ancestors = taken?.chain ?? []
  const chain = ancestors.map(({ id }) => id)
  const answers: May[] = []
  for (const grant of grants) {
    const possible = possibleRequests(grant).flatMap((context) => fillable(parts, grant, resource, context))
    const [first] = possible
    const isLocked = first && (await parts.ledger.findLockOn(requestTargets(caller, first, chain, ancestors)))
    answers.push(
      isLocked ? 'no' : best(possible.map((one) => mayOne(parts, caller, one, { now, task, holders, ancestors }))),
    )
  }
  return answers
}

type Context = Record<string, string | number | boolean>

/** A request that could not be minted is none that may be made. */
function fillable(parts: Parts, grant: Grant, resource: Resource, declared: Context): ResolvedRequest[] {
  const provider = parts.providers.get(grant.provider)
  if (!provider) return []
  const guarantees = provider.guarantees(grant.recipe)
  const ttlSeconds = Math.min(grant.ttl.defaultSeconds, parts.rules().limits.lease.ttl)
  try {
    fillRecipe(grant.recipe, { resource, declared, task: { id: 'task_plan' } })
  } catch {
    return []
  }
  return ttlSeconds < guarantees.minTtlSeconds ? [] : [{ grant, resource, declared, provider, guarantees, ttlSeconds }]
}

function mayOne(parts: Parts, caller: Caller, resolved: ResolvedRequest, world: World): May {
  const { effect } = decide(parts, caller, resolved, world).verdict
  return effect === 'permit' ? 'yes' : effect === 'deny' ? 'no' : 'approval'
}

function best(answers: readonly May[]): May {
  return answers.includes('yes') ? 'yes' : answers.includes('approval') ? 'approval' : 'no'
}

const mostRequests = 64

/** What could be declared: every listed value; of what is free one that stands for it; what is optional also left out. */
function possibleRequests(grant: Grant): Context[] {
  let requests: Context[] = [{}]
  for (const [name, field] of Object.entries(grant.context)) {
    const values = field.oneOf ?? { string: ['any'], integer: [1], boolean: [true, false] }[field.type]
    // Cut at each field: all that could be made of ten fields of ten values would fill the memory before the first is looked at.
    requests = requests
      .flatMap((request) => [
        ...(field.optional ? [request] : []),
        ...values.map((value) => ({ ...request, [name]: value })),
      ])
      .slice(0, mostRequests)
  }
  return requests
}
