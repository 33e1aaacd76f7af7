// A recorded decision made again: by the policies that made it (replay), or by others (simulation).
import type { Verdict } from '../policy/decision.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { DecisionBasis } from './recorded-decision.js'

/** Pure: the same basis and policies always give the same verdict. Nothing of today enters, not even the groups. */
export function decideAgain(
  engine: Pick<PolicyEngine, 'decideAs'>,
  { input, bounds, standing }: DecisionBasis,
): Verdict {
  return engine.decideAs(standing, input, bounds)
}
