// Approvals as the small broker of the clients' tests keeps them.
import type { Approval } from '../../src/api/approvals.js'
import type { CredentialRequest } from '../../src/api/credentials.js'
import { createId } from '../../src/core/ids.js'
import { inAnHour, type WireState } from './wire-state.js'

/** Null: may be minted now, and an approval that said so is used. Else what people have to answer first. */
export function wantApproval(
  state: WireState,
  taskId: string,
  { action, resource, approval_id, context, ttl_seconds = 300 }: CredentialRequest,
): Approval | null {
  const approvers = state.approvers.get(action)
  if (approvers === undefined) return null
  const given = approval_id ? state.approvals.get(approval_id) : undefined
  if (given?.state === 'approved') {
    state.approvals.set(given.id, { ...given, state: 'used' })
    return null
  }
  if (given !== undefined) return given
  const id = createId('appr', Date.now())
  const approval: Approval = {
    ...{
      id,
      task_id: taskId,
      state: 'pending',
      action,
      access: 'write',
      resource,
      resource_attributes: { host: 'db1' },
    },
    ...{
      context,
      ttl_seconds,
      principal: 'ci:agent',
      account: 'ci:1',
      instance: null,
      chain: [taskId],
      persons: [],
      actors: [{ task: taskId, principal: 'ci:agent' }],
      provider: 'p',
    },
    ...{ recipe_sha256: 'a'.repeat(64), bound_sha256: 'b'.repeat(64), policy: 'needs-people', ...approvers },
    ...{ requirements: [approvers], votes: [], requested_at: inAnHour, expires_at: inAnHour, end_reason: null },
    ...{ lease_id: null, url: `https://hallpass.test/approvals/${id}`, poll_after_seconds: 5 },
    ...{ purpose_unverified: 'why not', flags: [], recent_requests: 1 },
  }
  state.approvals.set(id, approval)
  return approval
}

/** One more vote, of somebody new each time. */
export function answerApproval(
  state: WireState,
  approval: Approval,
  vote: 'approve' | 'deny',
  reason: string,
): Approval {
  const by = `staff:operator-${approval.votes.length + 1}`
  const votes = [...approval.votes, { by, person: `${by}@acme.example`, vote, reason, at: inAnHour }]
  const isOver = vote === 'deny' || votes.length >= approval.needed
  const answered: Approval = {
    ...approval,
    votes,
    ...(isOver ? { state: vote === 'deny' ? 'denied' : 'approved' } : {}),
    ...(isOver && vote === 'deny' ? { end_reason: 'voted' } : {}),
  }
  state.approvals.set(approval.id, answered)
  return answered
}
