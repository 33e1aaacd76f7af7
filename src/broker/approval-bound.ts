// What an approval binds, as one value: made when it is asked for, made again when the request is repeated, compared as hashes.
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { BrokerError } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'
import type { Bound } from '../ledger/approval.js'
import type { Task } from '../ledger/task.js'
import type { JsonObject } from '../providers/provider.js'
import type { Decided } from './decide.js'
import type { Caller } from './parts.js'
import type { ResolvedRequest } from './resolved-request.js'

/** Not the lifetime that is left of the task, which shrinks while people think, and not the policy set. */
export function boundOf(
  { grant, resource, declared, provider, ttlSeconds }: ResolvedRequest,
  task: Pick<Task, 'id' | 'instance' | 'chain' | 'principal'>,
  recipe: JsonObject,
  decided: Pick<Decided, 'verdict' | 'above'>,
  persons: readonly string[],
): Bound {
  const { verdict, above } = decided
  if (verdict.effect === 'deny') throw new BrokerError('internal', 'a denial offers nothing to approve')
  const offers = [verdict.offer, ...above.flatMap((hop) => ('offer' in hop.verdict ? [hop.verdict.offer] : []))]
  const bounds = [ttlSeconds, grant.require.maxTtlSeconds, ...offers.map(({ maxTtlSeconds }) => maxTtlSeconds)]
  return {
    task: task.id,
    instance: task.instance,
    chain: task.chain,
    principal: task.principal,
    action: grant.action,
    access: grant.access,
    resource,
    declared,
    provider: provider.name,
    recipeSha256: sha256Hex(canonicalJson(recipe)),
    requestedTtlSeconds: ttlSeconds,
    ttlSeconds: Math.min(...bounds.filter((bound) => bound !== null)),
    policy: verdict.offer.policy,
    requirements: verdict.effect === 'permit' ? [] : verdict.approvals,
    ...(persons.length === 0 ? {} : { persons }),
  }
}

/**
 * The humans behind the caller, everybody above and whoever handed it on, sorted, as far as the issuers name one. They are
 * bound: where several people act through one workload, none of them may use what they agreed to for another.
 */
export const personsBehind = (
  { principal }: Caller,
  tasks: readonly Pick<Task, 'person' | 'delegator'>[],
): string[] => {
  const named = [principal.person, ...tasks.flatMap(({ person, delegator }) => [person, delegator])]
  return [...new Set(named.filter((one) => typeof one === 'string'))].sort()
}

/** By which two of them are compared: SHA-256 of the canonical JSON. */
export const boundSha256 = (bound: Bound): string => sha256Hex(canonicalJson(bound as unknown as Json))

const wireNames: Readonly<Partial<Record<keyof Bound, string>>> = {
  declared: 'context',
  recipeSha256: 'recipe',
  requestedTtlSeconds: 'ttl_seconds',
  ttlSeconds: 'ttl_seconds',
  policy: 'offer',
  requirements: 'offer',
}

/** Which members of the request are others now, by their names on the wire. */
export function differencesOf(then: Bound, now: Bound): string[] {
  const names = [...new Set([...Object.keys(then), ...Object.keys(now)])] as (keyof Bound)[]
  const textOf = (bound: Bound, name: keyof Bound) => canonicalJson((bound[name] ?? null) as unknown as Json)
  const differing = names.filter((name) => textOf(then, name) !== textOf(now, name))
  return [...new Set(differing.map((name) => wireNames[name] ?? name))]
}

/**
 * What a denial is remembered by. `cooldown`: the same request, in whichever task and for however long; `flag`: whatever is
 * asked with the same action on the same resource, which is not asked either once it was denied three times in a row.
 */
export function denialKeys(account: string, bound: Bound): { cooldownKey: string; flagKey: string } {
  const { action, resource, declared } = bound
  return {
    cooldownKey: sha256Hex(canonicalJson([account, action, resource.id, declared])),
    flagKey: sha256Hex(canonicalJson([account, action, resource.id])),
  }
}
