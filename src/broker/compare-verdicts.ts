// Two verdicts over one request side by side: which members differ, and for whom that is good.
import { canonicalJson, type Json } from '../core/canonical-json.js'
import type { Verdict } from '../policy/decision.js'

/** A verdict as it is shown and compared: every member it can have, null where its effect has none. */
export interface VerdictView {
  readonly effect: Verdict['effect']
  /** The policies that determined it. */
  readonly policies: readonly string[]
  readonly code: 'denied' | 'binding_required' | null
  readonly reason: string | null
  readonly ttl_seconds: number | null
  readonly approvals: readonly { readonly group: string; readonly count: number }[]
  /** What the offer that was taken asks of the token. */
  readonly binding: 'dpop' | 'mtls' | 'any' | null
  /** The permit whose offer was taken. */
  readonly offer: string | null
}

/** Every member that a verdict can have, so that two of them can be compared one by one. */
export function verdictView(verdict: Verdict): VerdictView {
  const denied = verdict.effect === 'deny'
  return {
    effect: verdict.effect,
    policies: verdict.policies,
    code: denied ? verdict.code : null,
    reason: 'reason' in verdict ? verdict.reason : null,
    ttl_seconds: denied ? null : verdict.ttlSeconds,
    approvals: 'approvals' in verdict ? verdict.approvals : [],
    binding: denied ? null : verdict.offer.binding,
    offer: denied ? null : verdict.offer.policy,
  }
}

export type VerdictMember = keyof VerdictView

export interface Difference {
  readonly member: VerdictMember
  readonly before: Json
  readonly after: Json
}

const members: readonly VerdictMember[] = [
  'effect',
  'code',
  'reason',
  'ttl_seconds',
  'approvals',
  'binding',
  'offer',
  'policies',
]

/** Empty where they say the same. Lists whose order says nothing are compared without it. */
export function differencesOf(before: VerdictView, after: VerdictView): Difference[] {
  return members.flatMap((member) => {
    const [one, other] = [before[member], after[member]]
    return comparable(one) === comparable(other) ? [] : [{ member, before: one as Json, after: other as Json }]
  })
}

function comparable(value: VerdictView[VerdictMember]): string {
  if (!Array.isArray(value)) return canonicalJson(value as Json)
  return canonicalJson([...value].map((one: Json) => canonicalJson(one)).sort())
}

/** `change`: neither better nor worse off, but not the same: lifetime, approvals, reason or policies. */
export type ChangeKind = 'gain' | 'loss' | 'change' | 'none'

const effects = ['deny', 'approval_required', 'permit'] as const

/** What the second verdict is to whoever had the first one. */
export function changeOf(before: VerdictView, after: VerdictView): ChangeKind {
  const step = effects.indexOf(after.effect) - effects.indexOf(before.effect)
  if (step !== 0) return step > 0 ? 'gain' : 'loss'
  return differencesOf(before, after).length > 0 ? 'change' : 'none'
}
