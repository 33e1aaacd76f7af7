// A situation → its explanation: decided by the engine, taken apart by the policies' own text.
import type { Settings } from '../config/schema.js'
import {
  explainPolicies,
  nearMisses,
  operateRequestOf,
  type PolicySeen,
  type Request,
  requestOf,
} from '../policy/explain.js'
import { type Bound, explainOffers, narrowing } from '../policy/explain-offers.js'
import type { PolicySet } from '../policy/policy-set.js'
import type { Explanation } from './explain-words.js'
import type { Situation } from './situation.js'
import { createSituationEngine, type Outcome } from './situation-outcome.js'

/** `set`: its policies' files named as they are found from here. */
export function explainSituation(
  situation: Situation,
  settings: Settings,
  set: PolicySet,
  { notes, isAlone }: Pick<Explanation, 'notes' | 'isAlone'> = { notes: [], isAlone: false },
): Explanation {
  const outcome = createSituationEngine(settings, set).outcomeOf(situation)
  const request = requestIn(situation)
  const seen = request === null ? [] : explainPolicies(set.policies, request)
  const named = new Set(outcome.policies)
  const determining = seen.filter(({ policy }) => named.has(policy.id))
  return {
    what: whatOf(situation),
    policySet: set.hash,
    outcome,
    determining,
    near: outcome.effect === 'deny' && determining.length === 0 ? nearMisses(seen) : [],
    ...offersOf(situation, determining, outcome, settings),
    escalation: situation.kind === 'grant' && situation.input.escalation,
    notes,
    isAlone,
  }
}

function requestIn(situation: Situation): Request | null {
  const { principal, groups } = situation
  if (situation.kind === 'refused') return null
  if (situation.kind === 'grant')
    return requestOf(situation.input, situation.standing?.access ?? situation.grant.access, groups)
  const { action, target, about } = situation
  return operateRequestOf({ principal, groups, action, target }, about)
}

function whatOf(situation: Situation): Explanation['what'] {
  const principal = situation.principal.id
  if (situation.kind === 'refused') {
    const { action, resource } = situation
    return { action, resource, principal, access: null }
  }
  if (situation.kind === 'operate') {
    const { action, target } = situation
    return { action, resource: target === 'broker' ? 'broker' : target.id, principal, access: null }
  }
  const { grant, input } = situation
  return { action: grant.action, resource: input.resource.id, principal, access: grant.access }
}

function offersOf(
  situation: Situation,
  determining: readonly PolicySeen[],
  outcome: Outcome,
  settings: Settings,
): Pick<Explanation, 'offers' | 'lifetime'> {
  const permits = determining.filter(({ policy, applies }) => policy.effect === 'permit' && applies)
  if (situation.kind !== 'grant' || permits.length === 0) return { offers: [], lifetime: [] }
  const { bounds, grant, askedTtlSeconds, input, standing } = situation
  const offers = explainOffers(
    permits.map(({ policy }) => policy.offer),
    bounds,
  )
  const taken = offers.find(({ fate }) => fate === 'taken')?.offer
  const limits: (Bound | null)[] = [
    // What was recorded is bounded by them already, as they were then.
    ...(standing === undefined
      ? [
          { by: `the grant's ttl.max`, seconds: grant.ttl.maxSeconds },
          { by: 'limits.lease.ttl', seconds: settings.limits.lease.ttl },
        ]
      : []),
    { by: 'the request as it was decided', seconds: input.requestedTtlSeconds },
    { by: "the task's deadline", seconds: bounds.ttlSeconds },
    boundBy("the grant's require.max_ttl", bounds.require.maxTtlSeconds),
    boundBy(`@max_ttl of ${taken?.policy ?? ''}`, taken?.maxTtlSeconds ?? null),
    boundBy('as decided', outcome.ttlSeconds),
  ]
  return {
    offers,
    lifetime: narrowing(
      askedTtlSeconds,
      limits.filter((one) => one !== null),
    ),
  }
}

const boundBy = (by: string, seconds: number | null): Bound | null => (seconds === null ? null : { by, seconds })
