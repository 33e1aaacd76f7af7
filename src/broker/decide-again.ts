// A recorded decision made again: by the policies that made it (replay), or by others (simulation).
import type { Verdict } from '../policy/decision.js'
import type { PolicyEngine } from '../policy/engine.js'
import { isOutside, joinHops } from './hops.js'
import type { DecisionBasis } from './recorded-decision.js'

/** Pure: the same basis and policies always give the same verdict. Nothing of today enters, not even the groups. */
export function decideAgain(engine: Pick<PolicyEngine, 'decideAs'>, basis: DecisionBasis): Verdict {
  const { input, bounds, standing, ceilings } = basis
  const own = engine.decideAs(standing, input, bounds)
  const above = basis.above.map((hop) => ({ ...hop, verdict: engine.decideAs(hop.standing, hop.input, hop.bounds) }))
  return joinHops(own, above, isOutside(ceilings, input.action, input.resource.id)).verdict
}
