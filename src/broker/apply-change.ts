// The operator's word on a change of rules that waits, and what it would end.
import type { PendingList, PolicyChange } from '../api/policy-change.js'
import { toTimestamp } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import type { RulesChange } from '../ledger/rules-change.js'
import { liveUnder } from './live-under.js'
import type { Caller, Parts, Rules } from './parts.js'
import { judgedLastBy } from './redecide.js'

/**
 * Lets the waiting rules end what they end; a worker does it. The word is on disk before the answer; where the audit is down it
 * counts all the same (I4), and `audit_unavailable` is thrown. Throws `stale_rules` (409) where other rules wait, or none.
 */
export async function applyChange(
  parts: Parts,
  caller: Caller,
  { hash, reason }: { hash: string; reason: string },
): Promise<PolicyChange> {
  const change = await parts.ledger.findRulesChange()
  if (change?.state !== 'waiting' || !isNamed(change, parts.rules(), hash)) throw stale(change, hash)
  const actor = caller.principal.id
  const [record] = await Promise.allSettled([
    parts.audit.append({
      event: 'rules.change_applied',
      actor,
      request_id: caller.requestId,
      rules: change.hash,
      reason,
      live: change.live,
      doomed: change.doomed,
    }),
  ])
  if (!(await parts.ledger.releaseRedecision(change.hash, actor))) {
    throw stale(await parts.ledger.findRulesChange(), hash)
  }
  if (record.status === 'rejected') throw record.reason
  return changeView(parts.rules(), { ...change, state: 'due' })
}

/** A page of the live leases that the waiting rules no longer permit, as of now. Reads alone. */
export async function pendingChange(parts: Parts, cursor: string | null): Promise<PendingList> {
  const rules = parts.rules()
  const change = await parts.ledger.findRulesChange()
  if (change === null) return { change: null, leases: [], next_cursor: null }
  const shown = changeView(rules, change)
  if (change.state === 'done' || change.hash !== rules.hash) return { change: shown, leases: [], next_cursor: null }
  const { leases, next } = await liveUnder(parts, rules, judgedLastBy(rules, change.applied), cursor)
  return { change: shown, leases, next_cursor: next }
}

/** A policy set's hash names the rules that this broker decides by, where they are the ones. */
const isNamed = (change: RulesChange, rules: Rules, hash: string) =>
  change.hash.startsWith(hash) || (change.hash === rules.hash && rules.policy.hash.startsWith(hash))

function stale(change: RulesChange | null, hash: string): BrokerError {
  const waits =
    change?.state === 'waiting' ? `the rules that wait are ${change.hash}` : 'no change of rules waits for a word'
  return new BrokerError('stale_rules', `${hash} does not wait: ${waits}`)
}

const changeView = (rules: Rules, change: RulesChange): PolicyChange => ({
  rules: change.hash,
  policy_set: change.hash === rules.hash ? rules.policy.hash : null,
  state: change.state,
  live: change.live,
  would_end: change.doomed,
  ended: change.ended,
  ended_lately: change.endedLately,
  adopted_at: toTimestamp(change.adoptedAt),
})
