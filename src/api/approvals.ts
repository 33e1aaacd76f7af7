// Approvals on the wire: what was asked, who answered, and where it stands. Everything but `purpose_unverified` and the votes'
// reasons is what the answer binds.
import { z } from 'zod'
import { credentialAnswer, declaredContext, dryRunAnswer } from './credentials.js'
import * as fields from './fields.js'
import { openTaskAnswer, openTaskDryRun, task } from './tasks.js'

/**
 * pending: not answered yet. approved: the same request, repeated with `approval_id`, is decided again and minted once. used: it
 * was. denied, expired: over; ask anew. `expires_at` bounds both the answers and the use.
 */
export const approvalState = z.enum(['pending', 'approved', 'denied', 'expired', 'used'])
export type ApprovalState = z.infer<typeof approvalState>

export const vote = z.object({
  /** The operator's principal id. */
  by: z.string(),
  /** As whom they are counted: the issuer's `person` claim, or null where it has none (then by `by`). */
  person: z.string().nullable(),
  vote: z.enum(['approve', 'deny']),
  /** Free text of the operator's, for people alone. */
  reason: z.string(),
  at: fields.timestamp,
})

/** One group that has to agree. Where several add up, nobody is counted for two of them. */
const requirement = z.object({ group: z.string(), needed: z.int() })

export const approval = z.object({
  id: z.string(),
  task_id: z.string(),
  state: approvalState,
  action: z.string(),
  access: z.enum(['read', 'write', 'deploy', 'admin']),
  resource: z.string(),
  resource_attributes: z.record(z.string(), z.unknown()),
  /** What the caller declared. */
  context: declaredContext,
  /** The longest that the credential may live. */
  ttl_seconds: z.int(),
  principal: z.string(),
  account: z.string(),
  instance: z.string().nullable(),
  /** Task ids from the task up to the root. */
  chain: z.array(z.string()),
  /** Whose tasks those are; `agent`: the sub-agent that works on it under its parent's identity. */
  actors: z.array(z.object({ task: z.string(), principal: z.string(), agent: z.string().optional() })),
  /** The humans behind the request and everybody above in the chain, where their issuers name one: they may not answer it. */
  persons: z.array(z.string()),
  provider: z.string(),
  /** SHA-256 of the filled recipe's canonical JSON: what the provider would be asked for. */
  recipe_sha256: z.string(),
  /** SHA-256 of the canonical JSON of all that is bound. */
  bound_sha256: z.string(),
  /** The `@id` of the permit whose offer this is. */
  policy: z.string(),
  /** The first of `requirements`. */
  group: z.string(),
  needed: z.int(),
  requirements: z.array(requirement),
  votes: z.array(vote),
  requested_at: fields.timestamp,
  expires_at: fields.timestamp,
  /** `voted`, `time`, `task_ended`, `minted`, `approver_removed` (asked for anew); null while it is pending or approved. */
  end_reason: z.string().nullable(),
  /** The lease that used it. */
  lease_id: z.string().nullable(),
  url: z.string(),
  poll_after_seconds: z.int(),
  /** The requester's own words, without control, invisible and direction-changing characters. Nobody has checked them. */
  purpose_unverified: z.string(),
  /**
   * What an approver should not overlook: `denied_before` (this account was denied this action on this resource within a day),
   * `many_recent` (it has asked for five or more approvals within the hour), `escalation`.
   */
  flags: z.array(z.string()),
  /** Approvals that this account asked for within the last hour, this one included. */
  recent_requests: z.int(),
})
export type Approval = z.infer<typeof approval>

/** 202 of POST /v1/tasks/{id}/credentials, and 200 of approve and deny. */
export const approvalAnswer = z.object({ approval })

/** What POST /v1/tasks/{id}/credentials answers: 201, 202, or 200 where it only decides. */
export const credentialAnswers = z.union([credentialAnswer, approvalAnswer, dryRunAnswer])

/** 202 of POST /v1/tasks: the task is open, nothing was minted. One approval per credential that wants one. */
export const openTaskApprovalsAnswer = z.object({ task, task_token: z.string(), approvals: z.array(approval) })

export const openTaskAnswers = z.union([openTaskAnswer, openTaskApprovalsAnswer, openTaskDryRun])

/** POST /v1/approvals/{id}/approve and /deny. */
export const answerRequest = z.strictObject({ reason: fields.reason })

/**
 * GET /v1/approvals/{id}: with `wait_seconds` it answers when the approval is no longer pending, or after that time. With
 * `Accept: text/event-stream` each change is an event `approval` whose `data` is the approval and whose `id` counts the votes
 * and the end; lines that begin with `:` keep the connection alive. The stream closes after the first event that is not
 * pending, at the end of the caller's token and after an hour at most: whoever still waits connects again.
 */
export const approvalQuery = z.strictObject({ wait_seconds: fields.waitSeconds.optional() })

/** GET /v1/approvals: an operator's by `operate.view`, a workload's own; the newest first, those of the last two days. */
export const approvalsQuery = z.strictObject({
  state: approvalState.optional(),
  task: fields.idOf('task').optional(),
  principal: fields.callerName.optional(),
  account: fields.callerName.optional(),
  action: fields.actionName.optional(),
  resource: fields.resourceId.optional(),
  cursor: fields.cursor.optional(),
  limit: fields.limit.optional(),
})
export const approvalList = z.object({ approvals: z.array(approval), next_cursor: z.string().nullable() })
export type ApprovalList = z.infer<typeof approvalList>
