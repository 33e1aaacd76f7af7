// Live leases against a candidate policy set: which would end, were it in force. Groups, grants and resources are our own.
import type { LiveSimulation } from '../api/simulate.js'
import type { PolicyEngine } from '../policy/engine.js'
import { liveUnder } from './live-under.js'
import type { Parts, Rules } from './parts.js'

/** One page from `cursor` on; null: from the beginning. Ends nothing. Throws `ledger_unavailable`. */
export async function simulateLive(
  parts: Parts,
  candidate: PolicyEngine,
  cursor: string | null,
): Promise<LiveSimulation> {
  const rules = parts.rules()
  // A candidate knows no catalogue: who is in which group and what an action's class is, the rules in force say.
  const policy: PolicyEngine = { ...candidate, standingOf: rules.policy.standingOf }
  const before = await findJudgedLast(parts, rules)
  const { live, leases, next } = await liveUnder(parts, { ...rules, policy }, before, cursor)
  return { candidate: candidate.hash, live, would_end: leases, next_cursor: next }
}

/**
 * What live leases were judged by last. That is not what is in force while a change waits for a word: the leases that it would
 * end are no longer permitted by either, and a candidate that comes after it would end them.
 */
async function findJudgedLast(parts: Parts, rules: Rules): Promise<Rules | null> {
  const change = await parts.ledger.findRulesChange()
  if (change === null || change.applied === rules.hash) return rules
  return rules.earlier.find(({ hash }) => hash === change.applied) ?? null
}
