// Which live leases would end by a set of rules, a page at a time: for whoever asks before anything ends.
import { setTimeout as pause } from 'node:timers/promises'
import type { NoLongerPermitted } from '../api/policy-change.js'
import { toTimestamp } from '../core/clock.js'
import { isCurrent, type Lease } from '../ledger/lease.js'
import { judgePage } from './judge-live.js'
import type { Parts, Rules } from './parts.js'

/** So many leases are looked at per call, in steps between which others get their turn. */
const perCall = 1000
const perStep = 50

export interface LivePage {
  /** How many live leases this page has looked at. */
  readonly live: number
  readonly leases: NoLongerPermitted[]
  readonly next: string | null
}

/** `before`: what the rules are held against; null: nothing. Ends nothing and counts nothing. */
export async function liveUnder(
  parts: Parts,
  rules: Rules,
  before: Rules | null,
  cursor: string | null,
): Promise<LivePage> {
  const found = await parts.ledger.scanLeases({ state: 'live' }, [...parts.providers.keys()], cursor, perCall)
  const leases: NoLongerPermitted[] = []
  for (let i = 0; i < found.leases.length; i += perStep) {
    const page = found.leases.slice(i, i + perStep)
    const byId = new Map(page.map((lease) => [lease.id, lease]))
    const requiredBefore = before?.requirements.digests ?? null
    for (const one of await judgePage(parts, rules, page, { requiredBefore, before })) {
      const lease = byId.get(one.lease)
      if (lease !== undefined) leases.push(view(lease, one.reason, one.policies))
    }
    await pause(1)
  }
  return { live: found.leases.filter(isCurrent).length, leases, next: found.cursor }
}

function view(lease: Lease, reason: string, policies: readonly string[]): NoLongerPermitted {
  const { record } = lease
  return {
    lease: lease.id,
    task: record.task,
    principal: record.principal,
    account: record.account,
    action: record.action,
    access: record.access,
    resource: record.resource,
    expires_at: toTimestamp(lease.expiresAt),
    reason,
    policies: [...policies],
  }
}
