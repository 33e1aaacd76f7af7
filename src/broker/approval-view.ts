// An approval as its requester and its approvers see it: what it binds, and who answered.
import type { Approval as WireApproval } from '../api/approvals.js'
import { toTimestamp } from '../core/clock.js'
import { plainText } from '../core/plain-text.js'
import { type Approval, stateAt } from '../ledger/approval.js'

const manyRecent = 5
const pollAfterSeconds = 5

/** `issuer`: where this broker is reached. */
export function approvalView(approval: Approval, issuer: string, now: number): WireApproval {
  const { record } = approval
  const { bound } = record
  const requirements = bound.requirements.map(({ group, count }) => ({ group, needed: count }))
  const state = stateAt(approval, now)
  return {
    id: approval.id,
    task_id: bound.task,
    state,
    action: bound.action,
    access: bound.access,
    resource: bound.resource.id,
    resource_attributes: { ...bound.resource.attributes },
    context: { ...bound.declared },
    ttl_seconds: bound.ttlSeconds,
    principal: bound.principal,
    account: record.account,
    instance: bound.instance,
    chain: [...bound.chain],
    actors: (record.actors ?? [{ task: bound.task, principal: bound.principal }]).map((actor) => ({ ...actor })),
    persons: [...record.persons],
    provider: bound.provider,
    recipe_sha256: bound.recipeSha256,
    bound_sha256: record.boundSha256,
    policy: bound.policy,
    group: requirements[0]?.group ?? '',
    needed: requirements[0]?.needed ?? 0,
    requirements,
    votes: approval.votes.map(({ by, person, vote, reason, at }) => ({
      by,
      person,
      vote,
      reason: plainText(reason),
      at: toTimestamp(at),
    })),
    requested_at: toTimestamp(approval.requestedAt),
    expires_at: toTimestamp(approval.expiresAt),
    end_reason: approval.endReason ?? (state === 'expired' ? 'time' : null),
    lease_id: approval.lease,
    url: `${issuer}/v1/approvals/${approval.id}`,
    poll_after_seconds: pollAfterSeconds,
    purpose_unverified: record.purpose,
    flags: flagsOf(approval),
    recent_requests: approval.recentRequests,
  }
}

function flagsOf({ deniedBefore, recentRequests, record }: Approval): string[] {
  return [
    ...(deniedBefore ? ['denied_before'] : []),
    ...(recentRequests >= manyRecent ? ['many_recent'] : []),
    ...(record.escalation ? ['escalation'] : []),
  ]
}
