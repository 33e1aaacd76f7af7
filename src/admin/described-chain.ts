// Who stands above a caller, as a test describes it → what each of them is judged on, and what each handed on (I7).
import type { SettingProblem } from '../core/settings.js'
import type { Principal } from '../identity/principal.js'
import type { CeilingPair } from '../ledger/delegation.js'
import type { DecisionInput, OfferBounds } from '../policy/decision.js'
import { type Asked, describedHoldings } from './described-holdings.js'
import { describedPrincipal } from './described-principal.js'
import type { SituationRules } from './situation-rules.js'
import type { WrittenAncestor } from './situation-schema.js'

/** One of those above, asked for the same request as its own principal. */
export interface DescribedHop {
  readonly principal: Principal
  readonly groups: readonly string[]
  readonly input: DecisionInput
  readonly bounds: OfferBounds
}

export interface DescribedChain {
  /** From the parent up. */
  readonly above: readonly DescribedHop[]
  readonly ceilings: readonly (readonly CeilingPair[])[]
}

/** `own`: what the caller itself is judged on. Problems: of each ancestor, at its place. */
export function describedChain(
  written: readonly WrittenAncestor[],
  asked: Asked,
  own: Pick<DescribedHop, 'input' | 'bounds'>,
  rules: SituationRules,
  problems: SettingProblem[],
): DescribedChain {
  const above: DescribedHop[] = []
  const ceilings: CeilingPair[][] = []
  for (const [index, ancestor] of written.entries()) {
    const found: SettingProblem[] = []
    const hop = describedHop(ancestor, asked, own, rules, found)
    if (hop !== null) above.push(hop)
    if (ancestor.ceiling !== undefined) ceilings.push(ceilingOf(ancestor.ceiling, rules, found))
    problems.push(...found.map(({ path, message }) => ({ path: ['above', index, ...path], message })))
  }
  return { above, ceilings }
}

/** Its request, its bounds and its task are the caller's; who it is, and what it holds, are its own. */
function describedHop(
  written: WrittenAncestor,
  asked: Asked,
  own: Pick<DescribedHop, 'input' | 'bounds'>,
  rules: SituationRules,
  problems: SettingProblem[],
): DescribedHop | null {
  const someone = describedPrincipal(written, rules, problems)
  if (someone === null) return null
  const { principal } = someone
  const { binding } = principal
  if (principal.use !== 'workload')
    problems.push({ path: ['principal', 'issuer'], message: `${principal.issuer} is for operators, who open no task` })
  const { session, account, escalation } = describedHoldings(written, asked, rules, problems)
  return {
    ...someone,
    input: {
      ...own.input,
      principal,
      session,
      account,
      recentDenials: written.recent_denials ?? 0,
      escalation: written.escalation ?? escalation,
      binding,
    },
    bounds: { ...own.bounds, binding },
  }
}

function ceilingOf(
  written: NonNullable<WrittenAncestor['ceiling']>,
  { settings, catalogue }: SituationRules,
  problems: SettingProblem[],
): CeilingPair[] {
  return written.map(({ action, resource: id }, index): CeilingPair => {
    const path = ['ceiling', index]
    const grant = Object.hasOwn(settings.grants, action) ? settings.grants[action] : undefined
    const resource = catalogue.findResource(id)
    if (grant === undefined) problems.push({ path: [...path, 'action'], message: `no grant is called ${action}` })
    else if (resource?.type !== grant.resourceType)
      problems.push({
        path: [...path, 'resource'],
        message: `${JSON.stringify(id)} is no ${grant.resourceType} of the configuration`,
      })
    return [action, resource?.id ?? id]
  })
}
