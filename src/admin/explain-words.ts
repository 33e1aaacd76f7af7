// An explanation in words and for programs. Values stand as JSON: what a token or a caller brought cannot look like our words.
import type { Json } from '../core/canonical-json.js'
import type { PolicySeen } from '../policy/explain.js'
import type { Bound, OfferSeen } from '../policy/explain-offers.js'
import type { Outcome } from './situation-outcome.js'

export interface Explanation {
  readonly what: {
    readonly action: string
    readonly resource: string
    readonly principal: string
    readonly access: string | null
  }
  readonly policySet: string
  readonly outcome: Outcome
  readonly determining: readonly PolicySeen[]
  /** Of a denial: the permits that came nearest. */
  readonly near: readonly PolicySeen[]
  readonly offers: readonly OfferSeen[]
  readonly lifetime: readonly Bound[]
  readonly escalation: boolean
  /** What a reader has to know of the explanation itself. */
  readonly notes: readonly string[]
  /** Of the caller alone, where others stand above it, whose ceilings and permits decide as well. */
  readonly isAlone: boolean
}

const effects = { permit: 'permitted', deny: 'denied', approval_required: 'an approval is needed', refused: 'refused' }

export function explanationText(explanation: Explanation): string {
  const { what, outcome, near } = explanation
  const why = outcome.reason ?? (outcome.code === 'binding_required' ? outcome.code : null)
  return [
    `${explanation.isAlone ? 'for the caller alone ' : ''}${effects[outcome.effect]}${why === null ? '' : ` (${why})`}: ${what.action} on ${what.resource} for ${what.principal}`,
    ...(outcome.detail === null ? [] : [outcome.detail]),
    ...explanation.notes.map((note) => `note: ${note}`),
    '',
    ...determiningLines(explanation),
    ...(near.length === 0
      ? []
      : ['Nearest permits, and what of them does not hold:', ...near.flatMap(policyLines), '']),
    ...offerLines(explanation),
    ...lifetimeLines(explanation.lifetime),
    ...(explanation.escalation ? ['It is an escalation: more than the session was granted before.'] : []),
    `Policy set ${explanation.policySet}`,
  ].join('\n')
}

function determiningLines({ outcome, determining }: Explanation): string[] {
  if (determining.length === 0)
    return outcome.effect === 'refused' ? [] : ['No policy applies, and what nothing permits is denied.', '']
  const heading =
    outcome.reason === 'forbidden'
      ? 'Forbidden by, whatever permits it:'
      : outcome.reason === 'policy_error'
        ? 'Could not be evaluated, which is a deny:'
        : 'Permitted by:'
  return [heading, ...determining.flatMap(policyLines), '']
}

function policyLines({ policy, parts }: PolicySeen): string[] {
  const width = Math.max(0, ...parts.map(({ text }) => Math.min(text.length, 72)))
  return [
    `  ${policy.id}  ${policy.file}:${policy.line}`,
    ...parts.map(({ text, holds, values }) => {
      const shown = Object.entries(values).map(([name, value]) => `${name}: ${valueText(value)}`)
      return `    ${holds.padEnd(6)} ${text.padEnd(width)}  ${shown.join(', ')}`.trimEnd()
    }),
  ]
}

/** Escaped whole: what turns the direction of text would make another value of it on a screen. */
const valueText = (value: Json) =>
  value === null
    ? 'absent'
    : JSON.stringify(value).replace(
        /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
        (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )

const fates = {
  taken: 'taken',
  binding_unmet: 'falls away: its binding is unmet',
  below_the_floor: 'falls away: shorter than the provider can give',
  more_approvers: 'not taken: it needs more approvers',
  shorter: 'not taken: it gives a shorter lifetime',
  higher_id: 'not taken: one with a lower @id is as good',
}

function offerLines({ offers, outcome }: Explanation): string[] {
  if (offers.length === 0) return []
  const obliged = ({ offer }: OfferSeen) =>
    [
      offer.approval === null ? '' : `@approval ${offer.approval.group}:${offer.approval.count}`,
      offer.maxTtlSeconds === null ? '' : `@max_ttl ${offer.maxTtlSeconds} s`,
      offer.binding === null ? '' : `@binding ${offer.binding}`,
    ]
      .filter((one) => one !== '')
      .join(', ') || 'no obligation'
  const needed = outcome.approvals.length === 0 ? [] : [`  needs ${outcome.approvals.join(' and ')}`]
  return [
    'Offers:',
    ...offers.map((one) => `  ${one.offer.policy} (${obliged(one)}): ${fates[one.fate]}`),
    ...needed,
    '',
  ]
}

function lifetimeLines(lifetime: readonly Bound[]): string[] {
  if (lifetime.length === 0) return []
  return [`Lifetime: ${lifetime.map(({ by, seconds }) => `${by} ${seconds} s`).join(' → ')}`]
}

export function explanationView(explanation: Explanation): unknown {
  const { outcome, determining, near, offers, lifetime, ...rest } = explanation
  const { ttlSeconds, ...told } = outcome
  return {
    ...rest.what,
    policy_set: rest.policySet,
    outcome: { ...told, ttl_seconds: ttlSeconds },
    determining: determining.map(policyView),
    near: near.map(policyView),
    offers: offers.map(({ offer, fate }) => ({
      policy: offer.policy,
      approval: offer.approval,
      max_ttl_seconds: offer.maxTtlSeconds,
      binding: offer.binding,
      fate,
    })),
    lifetime,
    escalation: rest.escalation,
    notes: rest.notes,
    caller_alone: rest.isAlone,
  }
}

function policyView({ policy: { id, effect, file, line }, parts, applies }: PolicySeen) {
  return { id, effect, file, line, applies, parts }
}
