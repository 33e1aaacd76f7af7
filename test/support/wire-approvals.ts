// Approvals as the small broker of the clients' tests keeps them.
import { type Approval, answerRequest, approvalQuery, approvalsQuery } from '../../src/api/approvals.js'
import type { CredentialRequest } from '../../src/api/credentials.js'
import { createId } from '../../src/core/ids.js'
import { type Answer, authenticate, check, Refusal, type Route } from './wire-answers.js'
import { inAnHour, operatorToken, type SeenRequest, type WireState, workloadToken } from './wire-state.js'

export function approvalRoutes(state: WireState): Route[] {
  const operator = (story: Route[2]): Route[2] => {
    return (request, id) => {
      authenticate(request, [operatorToken])
      return story(request, id)
    }
  }
  const answered = (vote: 'approve' | 'deny') =>
    operator((request, id) => {
      const { reason } = check(answerRequest, request.body)
      const body = { approval: answerApproval(state, approvalOf(state, id), vote, reason) }
      return { status: 200, body }
    })
  const show = (request: SeenRequest, id: string): Answer => {
    authenticate(request, [workloadToken, operatorToken, `token-of.${state.approvals.get(id)?.task_id}`])
    check(approvalQuery, request.query)
    return { status: 200, body: approvalOf(state, id) }
  }
  const list = (request: SeenRequest): Answer => {
    authenticate(request, [workloadToken, operatorToken])
    const { state: wanted } = check(approvalsQuery, request.query)
    const approvals = [...state.approvals.values()].filter((one) => wanted === undefined || one.state === wanted)
    return { status: 200, body: { approvals, next_cursor: null } }
  }
  return [
    ['GET', /^\/v1\/approvals$/, list],
    ['GET', /^\/v1\/approvals\/([^/]+)$/, show],
    ['POST', /^\/v1\/approvals\/([^/]+)\/approve$/, answered('approve')],
    ['POST', /^\/v1\/approvals\/([^/]+)\/deny$/, answered('deny')],
  ]
}

export function approvalOf(state: WireState, id: string) {
  const approval = state.approvals.get(id)
  if (approval === undefined) throw new Refusal(404, 'not_found', `no approval ${id}`)
  return approval
}

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
