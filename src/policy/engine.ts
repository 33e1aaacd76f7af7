// One request in, one verdict out. Any doubt is a deny: an erring policy, a request that Cedar cannot read, a caller of
// the wrong kind.
import type { Grant } from '../grants/grant.js'
import type { Principal } from '../identity/principal.js'
import { type EntityJson, statefulIsAuthorized } from './cedar.js'
import {
  actionEntity,
  operateContext,
  principalEntity,
  principalType,
  requestContext,
  resourceEntity,
} from './cedar-request.js'
import type { DecisionInput, DenyReason, Offer, OfferBounds, Resource, Standing, Verdict } from './decision.js'
import { createDecisionMemo, type DecisionMemo } from './decision-memo.js'
import type { Groups } from './groups.js'
import { type CountRange, rangesOf, roundDown } from './number-cuts.js'
import { chooseOffer } from './offers.js'
import { principalKeys } from './policy.js'
import type { PolicySet } from './policy-set.js'
import { operateActions } from './schema.js'
import { createSliceIndex, type Slice, type SliceIndex } from './slices.js'

interface OperatorVerdict {
  readonly permit: boolean
  /** The determining policies, or those that erred. */
  readonly policies: readonly string[]
  /** A policy erred: denied for that, not for want of a permit. */
  readonly error: boolean
}

export interface PolicyEngine {
  /** SHA-256 of the set that decides here. */
  readonly hash: string
  decide(input: DecisionInput, bounds: OfferBounds): Verdict
  /** Within which counts of leases this input is decided alike: what a reservation has to find them within. */
  countRanges(input: DecisionInput): CountRange[]
  /** What this configuration adds to the input: the principal's groups and the action's access class. */
  standingOf(input: Pick<DecisionInput, 'principal' | 'action' | 'resource'>): Standing
  /** The same decision with a standing that is given: as recorded, for replay and simulation. */
  decideAs(standing: Standing, input: DecisionInput, bounds: OfferBounds): Verdict
  /** The groups that this principal is in now, sorted. */
  groupsOf(principal: Pick<Principal, 'id' | 'issuer' | 'attributes'>): string[]
  permitsOperator(
    principal: Principal,
    operateAction: string,
    target: Resource | 'broker',
    about?: { action?: string; access?: string },
  ): OperatorVerdict
}

export interface PolicyEngineParts {
  readonly policySet: PolicySet
  readonly grants: Readonly<Record<string, Pick<Grant, 'access' | 'resourceType'>>>
  readonly groups: Groups
}

/** `policies` are what determined it: permits or forbids that matched, or those that erred. */
type Answer = {
  readonly effect: 'permit' | 'no_permit' | 'forbidden' | 'policy_error'
  readonly policies: readonly string[]
}

/** Parses the usual slices at once, so that a first request does not wait for it. */
export function createPolicyEngine({ policySet, grants, groups }: PolicyEngineParts): PolicyEngine {
  const index = createSliceIndex(policySet.policies)
  const offers = new Map(policySet.policies.map((policy) => [policy.id, policy.offer]))
  const actions = new Map(Object.entries(grants))
  const memo = createDecisionMemo<Answer>()
  warm(index, actions)

  const sliceFor = (principal: Principal, member: readonly string[], actionKeys: readonly string[]): Slice =>
    index.find(actionKeys, principalKeys(principalType(principal), principal.id, principal.issuer, member))

  const standingOf: PolicyEngine['standingOf'] = ({ principal, action, resource }) => {
    const grant = actions.get(action)
    const access = grant?.resourceType === resource.type ? grant.access : null
    return { groups: groups.groupsOf(principal), access }
  }
  const decideAs: PolicyEngine['decideAs'] = ({ groups: member, access }, input, bounds) => {
    if (access === null || input.principal.use !== 'workload') return deny('no_permit', [])
    const slice = sliceFor(input.principal, member, [input.action, access])
    const answer = evaluate(memo, slice, requestContext(roundDown(slice.cuts, input), slice), [
      principalEntity(input.principal, member, slice),
      actionEntity(input.action, access),
      resourceEntity(input.resource, slice),
    ])
    if (answer.effect !== 'permit') return deny(answer.effect, answer.policies)
    return verdictOf(answer.policies, offers, bounds)
  }

  return {
    hash: policySet.hash,
    groupsOf: (principal) => groups.groupsOf(principal),
    decide: (input, bounds) => decideAs(standingOf(input), input, bounds),
    standingOf,
    decideAs,
    countRanges(input) {
      const grant = actions.get(input.action)
      if (grant === undefined) return []
      const member = groups.groupsOf(input.principal)
      const { cuts } = sliceFor(input.principal, member, [input.action, grant.access])
      return rangesOf(cuts, input)
    },
    permitsOperator(principal, operateAction, target, about = {}) {
      if (principal.use !== 'operator') return { permit: false, policies: [], error: false }
      const member = groups.groupsOf(principal)
      const slice = sliceFor(principal, member, [operateAction])
      const answer = evaluate(memo, slice, operateContext(about, slice), [
        principalEntity(principal, member, slice),
        actionEntity(operateAction, null),
        resourceEntity(target, slice),
      ])
      const { effect, policies } = answer
      return { permit: effect === 'permit', policies, error: effect === 'policy_error' }
    },
  }
}

function deny(reason: DenyReason, policies: readonly string[]): Verdict {
  return { effect: 'deny', code: 'denied', reason, policies }
}

function evaluate(
  memo: DecisionMemo<Answer>,
  slice: Slice,
  context: ReturnType<typeof requestContext>,
  entities: EntitiesOfRequest,
): Answer {
  // Nothing whose scope could match: Cedar would say the same.
  if (slice.policies.length === 0) return { effect: 'no_permit', policies: [] }
  // The slice is chosen by the entities' ids and parents: they name it, too.
  const question = JSON.stringify([entities, context])
  return memo.answerTo(
    question,
    () => askCedar(slice, context, entities),
    ({ effect }) => effect !== 'policy_error',
  )
}

function askCedar(slice: Slice, context: ReturnType<typeof requestContext>, entities: EntitiesOfRequest): Answer {
  const [principal, action, resource] = entities
  try {
    const answer = statefulIsAuthorized({
      principal: principal.uid,
      action: action.uid,
      resource: resource.uid,
      context,
      preparsedPolicySetId: slice.cedarName(),
      // The request is built from the schema's own inputs, and each member carries its type; checking it again costs
      // more than the decision. What the schema could not know shows as an erring policy, which denies.
      validateRequest: false,
      entities,
    })
    if (answer.type === 'failure') return { effect: 'policy_error', policies: [] }
    const { decision, diagnostics } = answer.response
    // Cedar skips a policy that errs, also a forbid: so an error is a deny before anything else is read.
    if (diagnostics.errors.length > 0) {
      return { effect: 'policy_error', policies: diagnostics.errors.map((error) => error.policyId).sort() }
    }
    const policies = [...diagnostics.reason].sort()
    if (decision === 'allow') return { effect: 'permit', policies }
    return { effect: policies.length > 0 ? 'forbidden' : 'no_permit', policies }
  } catch {
    return { effect: 'policy_error', policies: [] }
  }
}

type EntitiesOfRequest = [EntityJson, EntityJson, EntityJson]

function verdictOf(policies: readonly string[], offers: ReadonlyMap<string, Offer>, bounds: OfferBounds): Verdict {
  const choice = chooseOffer(
    policies.flatMap((id) => offers.get(id) ?? []),
    bounds,
  )
  if ('refused' in choice) {
    return choice.refused === 'binding'
      ? { effect: 'deny', code: 'binding_required', policies }
      : deny('lifetime', policies)
  }
  const { offer, ttlSeconds, approvals } = choice
  if (approvals.length > 0) return { effect: 'approval_required', policies, offer, ttlSeconds, approvals }
  return { effect: 'permit', policies, offer, ttlSeconds }
}

/** For each action the slices of a principal that is in none of the groups and of one in each single group or issuer. */
function warm(index: SliceIndex, actions: ReadonlyMap<string, Pick<Grant, 'access'>>): void {
  const combinations = [
    ...[...actions].map(([action, { access }]) => ({ keys: [action, access], type: 'is Workload' })),
    ...operateActions.map((action) => ({ keys: [action], type: 'is Operator' })),
  ]
  let budget = 2_000
  for (const { keys, type } of combinations) {
    for (const key of ['*', ...index.keysOf(keys)]) {
      const slice = index.find(keys, ['*', type, key])
      budget -= slice.policies.length
      if (budget < 0) return
      if (slice.policies.length > 0) slice.cedarName()
    }
  }
}
