// Ends live leases that changed rules no longer permit, the most privileged first, and writes down by which policy.
import { createId } from '../core/ids.js'
import { isCurrent, type Lease } from '../ledger/lease.js'
import type { Ending } from '../ledger/ledger.js'
import { accessRanks } from './access-ranks.js'
import { endLeases } from './end-leases.js'
import type { Doomed } from './judge-live.js'
import type { Parts, Rules } from './parts.js'
import { recordEnding } from './records.js'
import { decisionRecord } from './refusal.js'

const sensitivityRanks: readonly (string | null)[] = ['critical', 'high', 'medium', 'low']

/** The most privileged first: the highest access class, in it the most sensitive resource. */
export function inOrder(doomed: readonly Doomed[]): Doomed[] {
  const rank = ({ access, sensitivity }: Doomed) => {
    const place = sensitivityRanks.indexOf(sensitivity)
    // A word that we have no place for may mean anything: before `low`, as if it were the highest.
    const of = sensitivity === null ? sensitivityRanks.length : place === -1 ? 0 : place
    return accessRanks.indexOf(access) * 10 + of
  }
  return [...doomed].sort((a, b) => rank(a) - rank(b))
}

const ending: Ending = { reason: 'policy_changed', actor: 'policy' }

/** Tells them to end, and writes down by which policy. Returns how many were not ended by anybody before. */
export async function endDoomed(parts: Parts, rules: Rules, page: readonly Doomed[]): Promise<number> {
  const before = await parts.ledger.findLeases(page.map(({ lease }) => lease))
  const fresh = before.filter(isCurrent)
  const why = new Map(page.map((one) => [one.lease, one]))
  // First the reason: after a crash in between a live lease is judged again, an ended one would not be.
  await Promise.all(fresh.map((lease) => recordRedecided(parts, rules, lease, why.get(lease.id))))
  const rank = accessRanks.indexOf(page[0]?.access ?? 'admin')
  const ids = fresh.map(({ id }) => id)
  const ordered = await endLeases(parts, ids, { ...ending, rules: rules.hash }, rank)
  for (const { id } of ordered) parts.metrics.leasesRedecided.inc({ reason: why.get(id)?.reason ?? 'no_permit' })
  await recordEnding(parts, ordered, ending, null)
  return ordered.length
}

/** With the whole typed input: the decision can be made again (I10). When the audit is down the end goes on all the same (I4). */
async function recordRedecided(parts: Parts, rules: Rules, lease: Lease, why: Doomed | undefined): Promise<void> {
  if (why === undefined) return
  const { record } = lease
  const decision = {
    id: createId('dec', parts.clock.now()),
    effect: why.decided?.verdict.effect ?? 'deny',
    policies: why.policies,
    policySet: rules.policy.hash,
  }
  await parts.audit
    .append({
      event: 'lease.redecided',
      principal: record.principal,
      account: record.account,
      task: record.task,
      lease: lease.id,
      reason: why.reason,
      policies: why.policies,
      rules: rules.hash,
      judged: why.principal,
      ...(why.decided === null ? {} : { decision: decisionRecord({ ...why.decided, decision }) }),
    })
    .catch((error: unknown) => parts.log.error({ err: error, lease: lease.id }, 'a changed decision was not recorded'))
}
