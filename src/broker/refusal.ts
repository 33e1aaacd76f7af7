// A decision that is not a permit → what the caller is told, and what is written of it.
import type { Json } from '../core/canonical-json.js'
import { BrokerError } from '../core/errors.js'
import type { DecisionInput } from '../policy/decision.js'
import type { Decided } from './decide.js'
import { type Hop, hopRecord } from './hops.js'
import type { Caller, Parts } from './parts.js'
import { isTooLong } from './too-much-to-record.js'
import { decisionView } from './views.js'

/**
 * Writes the denial down, counts it against the caller's holders and returns the 403 to throw.
 * Throws `audit_unavailable` when it cannot be written: denials are kept as carefully as grants.
 */
export async function refuse(
  parts: Parts,
  caller: Caller,
  task: string | null,
  decided: Decided,
  about: Readonly<Record<string, Json>> = {},
): Promise<BrokerError> {
  await recordDecision(parts, caller, task, decided, about)
  return refusalOf(decided, decided.input)
}

/** Writes down a decision that lets nothing out. `about`: what else there is to say of it. */
export async function recordDecision(
  parts: Parts,
  caller: Caller,
  task: string | null,
  decided: Decided,
  about: Readonly<Record<string, Json>> = {},
): Promise<void> {
  const { decision, input } = decided
  const record = {
    ...about,
    event: decision.effect === 'deny' ? ('decision.denied' as const) : ('decision.approval_required' as const),
    principal: caller.principal.id,
    account: caller.principal.account,
    ...(task === null ? {} : { task }),
    request_id: caller.requestId,
    code: codeOf(decided),
  }
  try {
    await parts.audit.append({ ...record, decision: decisionRecord(decided) })
  } catch (error) {
    if (!isTooLong(error)) throw error
    // Without what it was made of it cannot be made again, but that it was made is on record.
    const asked = { action: input.action, resource: input.resource.id }
    await parts.audit.append({ ...record, decision: { ...decision, ...asked, shortened: true } })
  }
}

type MadeDecision = Pick<Decided, 'decision' | 'verdict' | 'input' | 'above' | 'deniedBy' | 'ceilings'> & {
  readonly own: Pick<Hop, 'bounds' | 'standing'>
}

/** The decision as the audit keeps it: with all that it was made of, so that it can be made again (recorded-decision.ts). */
export function decisionRecord(decided: MadeDecision): Json {
  const { principal, ...input } = decided.input
  const { own } = decided
  const { verdict, decision } = decided
  return {
    ...decision,
    ...('reason' in verdict ? { reason: verdict.reason } : {}),
    ...('offer' in verdict ? { offer: verdict.offer as unknown as Json, ttl_seconds: verdict.ttlSeconds } : {}),
    ...('approvals' in verdict ? { approvals: verdict.approvals as unknown as Json } : {}),
    ...(verdict.effect === 'deny' ? { code: verdict.code } : {}),
    input: { ...input, principal } as unknown as Json,
    bounds: own.bounds as unknown as Json,
    standing: own.standing as unknown as Json,
    ...(decided.above.length > 0 ? { ancestors: decided.above.map(hopRecord) } : {}),
    ...(decided.deniedBy ? { denied_by: decided.deniedBy.task } : {}),
    ...(decided.ceilings.length > 0 ? { ceilings: decided.ceilings } : {}),
  }
}

function codeOf({ verdict }: Decided): 'denied' | 'binding_required' | 'approval_required' {
  if (verdict.effect === 'deny') return verdict.code
  return 'approval_required'
}

/** The 403, with what was verified of the caller, so that an honest one can see why. */
export function refusalOf(decided: Decided, input: DecisionInput): BrokerError {
  const { verdict, decision } = decided
  const { principal } = input
  const code = codeOf(decided)
  return new BrokerError(code, explain(decided, input), {
    members: {
      ...(verdict.effect === 'deny' && verdict.code === 'denied' ? { reason: verdict.reason } : {}),
      principal: { id: principal.id, attributes: principal.attributes },
      decision: decisionView(decision),
      ...(decided.deniedBy ? { denied_for: decided.deniedBy.input.principal.id } : {}),
    },
  })
}

function explain({ verdict, decision, deniedBy }: Decided, input: DecisionInput): string {
  const what = `${input.action} on ${input.resource.id}`
  const who = deniedBy
    ? `for ${deniedBy.input.principal.id}, who stands above in the chain`
    : `for ${input.principal.id}`
  const by = decision.policies.length === 0 ? '' : ` (${decision.policies.join(', ')})`
  const said = () => {
    if (verdict.effect !== 'deny') return `${what} needs an approval${by}`
    if (verdict.code === 'binding_required')
      return `${what} needs a token that is bound to a key ${who}${by}; this one is not`
    switch (verdict.reason) {
      case 'no_permit':
        return `no policy permits ${what} ${who}`
      case 'forbidden':
        return `a policy forbids ${what} ${who}${by}`
      case 'policy_error':
        return `a policy could not be evaluated for ${what}${by}; that is a deny`
      case 'lifetime':
        return `${what} is permitted only for less time than the provider can give${by}`
      default:
        return `${what} is outside what the task was handed`
    }
  }
  return `${said()}; decision ${decision.id}`
}
