// Live leases against a candidate policy set: which would end, were it in force. Groups, grants and resources are our own.
import type { LiveSimulation } from '../api/simulate.js'
import type { PolicyEngine } from '../policy/engine.js'
import { liveUnder } from './live-under.js'
import type { Parts } from './parts.js'

export async function simulateLive(
  parts: Parts,
  candidate: PolicyEngine,
  cursor: string | null,
): Promise<LiveSimulation> {
  const rules = parts.rules()
  // A candidate knows no catalogue: who is in which group and what an action's class is, the rules in force say.
  const policy: PolicyEngine = { ...candidate, standingOf: rules.policy.standingOf }
  const { live, leases, next } = await liveUnder(parts, { ...rules, policy }, rules, cursor)
  return { candidate: candidate.hash, live, would_end: leases, next_cursor: next }
}
