// Entities → wire. Nothing secret can pass: only named members are copied.
import type { Lease as WireLease, Receipt as WireReceipt } from '../api/leases.js'
import type { Lock as WireLock } from '../api/locks.js'
import type { Task as WireTask } from '../api/tasks.js'
import type { WhoAmI } from '../api/whoami.js'
import { toTimestamp } from '../core/clock.js'
import type { Principal } from '../identity/principal.js'
import type { Lease } from '../ledger/lease.js'
import type { Lock } from '../ledger/lock.js'
import type { Task } from '../ledger/task.js'
import type { Decision } from '../policy/decision.js'

const orNull = (epochMs: number | null) => (epochMs === null ? null : toTimestamp(epochMs))

export const decisionView = (decision: Decision) => ({
  id: decision.id,
  effect: decision.effect,
  policies: [...decision.policies],
})

/** One receipt per lease: `pending` until something else was seen. */
export function receiptView(lease: Lease, now: number): WireReceipt {
  const receipt = lease.receipt ?? { outcome: 'pending' as const, at: now, evidence: 'none' as const }
  return {
    lease_id: lease.id,
    outcome: receipt.outcome,
    at: toTimestamp(receipt.at),
    evidence: receipt.evidence,
    expires_at: toTimestamp(lease.expiresAt),
    sessions: lease.record.sessions,
  }
}

export function leaseView(lease: Lease): WireLease {
  const { record } = lease
  return {
    id: lease.id,
    task_id: record.task,
    principal: record.principal,
    account: record.account,
    action: record.action,
    access: record.access,
    resource: record.resource,
    provider: record.provider,
    state: lease.state,
    revocation: record.revocation,
    issued_at: orNull(lease.issuedAt),
    expires_at: toTimestamp(lease.expiresAt),
    // No time ends the copy of a standing secret, and nobody is told of one.
    provider_expires_at: record.revocation === 'standing' ? null : orNull(lease.providerExpiresAt),
    provider_ref: lease.providerRef,
    follows: record.follows ?? null,
    ended_at: orNull(lease.endedAt),
    end_reason: lease.endReason,
    receipt: lease.receipt === null ? null : receiptView(lease, lease.receipt.at),
  }
}

export function taskView(task: Task): WireTask {
  return {
    id: task.id,
    principal: task.principal,
    account: task.account,
    instance: task.instance,
    parent: task.parent,
    depth: task.depth,
    ...(task.agent === undefined ? {} : { agent: task.agent }),
    purpose: task.purpose,
    state: task.state,
    outcome: task.outcome,
    opened_at: toTimestamp(task.openedAt),
    expires_at: toTimestamp(task.expiresAt),
    ended_at: orNull(task.endedAt),
  }
}

export const lockView = (lock: Lock): WireLock => ({
  id: lock.id,
  target: { ...lock.target },
  reason: lock.reason,
  expires_at: orNull(lock.expiresAt),
  created_at: toTimestamp(lock.createdAt),
})

/** What we verified of a caller. */
export function whoamiView(principal: Principal): WhoAmI {
  const { id, use, issuer, subject, account, instance, binding, person } = principal
  const attributes = Object.fromEntries(
    Object.entries(principal.attributes).map(([name, value]) => [name, typeof value === 'object' ? [...value] : value]),
  )
  const tokenEnd = toTimestamp(principal.tokenExpiresAt * 1000)
  return { id, use, issuer, subject, account, instance, attributes, binding, person, token_expires_at: tokenEnd }
}
