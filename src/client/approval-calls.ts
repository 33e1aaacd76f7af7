// Approvals from the client's side: asking where the answer may be that people have to agree first, looking, answering, and
// waiting. A 202 is no failure here: it is one of the two answers.
import { z } from 'zod'
import {
  type Approval,
  type ApprovalList,
  approval,
  approvalAnswer,
  approvalList,
  type approvalsQuery,
  openTaskApprovalsAnswer,
} from '../api/approvals.js'
import { type CredentialAnswer, credentialAnswer } from '../api/credentials.js'
import { type OpenTaskAnswer, openTaskAnswer } from '../api/tasks.js'
import type { Caller, MintOptions, OpenTask, Paged, RequestCredential, TaskAuth } from './call.js'
import { besideSubject, mintHeaders } from './call.js'
import { type WaitOptions, waitForApproval } from './wait-for-approval.js'

export type ApprovalFilter = Paged<z.input<typeof approvalsQuery>>

/** Issued, or a person has to approve first: nothing was minted then, and the same request is repeated with `approval_id`. */
export type Asked<Issued> =
  | { readonly outcome: 'issued'; readonly answer: Issued }
  | { readonly outcome: 'approval_wanting'; readonly approval: Approval }

/** As `Asked`, for a whole task: it is open in both cases. */
export type AskedTask =
  | { readonly outcome: 'issued'; readonly answer: OpenTaskAnswer }
  | {
      readonly outcome: 'approval_wanting'
      readonly task: OpenTaskAnswer['task']
      readonly taskToken: string
      readonly approvals: readonly Approval[]
    }

export interface ApprovalCalls {
  /** As `openTask`; a task whose credentials people have to approve is an answer, not an error. */
  askTask(request: OpenTask, options?: MintOptions): Promise<AskedTask>
  /** As `requestCredential`; an approval that is wanting is an answer, not an error. */
  askCredential(
    taskId: string,
    request: RequestCredential,
    options?: MintOptions & TaskAuth,
  ): Promise<Asked<CredentialAnswer>>
  /** With `waitSeconds` (at most 60) it answers when the approval is no longer pending, or after that time. */
  showApproval(
    id: string,
    options?: TaskAuth & { waitSeconds?: number; signal?: AbortSignal | undefined },
  ): Promise<Approval>
  /** A workload's own; an operator's by what they may see. The newest first. */
  listApprovals(filter?: ApprovalFilter): Promise<ApprovalList>
  /** Operators: one vote. Enough of them approve. */
  approve(id: string, reason: string): Promise<Approval>
  /** Operators: one is enough. */
  deny(id: string, reason: string): Promise<Approval>
  /** Until it is no longer pending, through outages of the broker; see wait-for-approval.ts. */
  waitForApproval(id: string, options?: WaitOptions & TaskAuth): Promise<Approval>
}

export function approvalCalls(call: Caller): ApprovalCalls {
  const vote = async (id: string, word: 'approve' | 'deny', reason: string) => {
    const path = ['approvals', id, word]
    return (await call({ method: 'POST', path, expect: approvalAnswer, body: { reason } })).approval
  }
  const showApproval: ApprovalCalls['showApproval'] = (id, { waitSeconds, signal, taskToken } = {}) =>
    call({ method: 'GET', path: ['approvals', id], expect: approval, waitSeconds, signal, taskToken })
  return {
    ...askingCalls(call),
    showApproval,
    listApprovals: (filter = {}) => call({ method: 'GET', path: ['approvals'], expect: approvalList, query: filter }),
    approve: (id, reason) => vote(id, 'approve', reason),
    deny: (id, reason) => vote(id, 'deny', reason),
    waitForApproval: (id, { taskToken, ...options } = {}) =>
      waitForApproval((one, how) => showApproval(one, { ...how, taskToken }), id, options),
  }
}

// The stricter one first: zod would read a 202 as an answer without credentials.
const taskOrApprovals = z.union([openTaskApprovalsAnswer, openTaskAnswer])
const credentialOrApproval = z.union([approvalAnswer, credentialAnswer])

function askingCalls(call: Caller): Pick<ApprovalCalls, 'askTask' | 'askCredential'> {
  return {
    async askTask(request, options = {}) {
      const answer = await call({
        method: 'POST',
        path: ['tasks'],
        expect: taskOrApprovals,
        takesApprovals: true,
        body: request,
        headers: mintHeaders(options),
      })
      if (!('approvals' in answer)) return { outcome: 'issued', answer }
      const { task, task_token: taskToken, approvals } = answer
      return { outcome: 'approval_wanting', task, taskToken, approvals }
    },
    async askCredential(taskId, request, options = {}) {
      const answer = await call({
        method: 'POST',
        path: ['tasks', taskId, 'credentials'],
        expect: credentialOrApproval,
        takesApprovals: true,
        body: request,
        headers: { ...mintHeaders(options), ...besideSubject(options) },
      })
      if ('approval' in answer) return { outcome: 'approval_wanting', approval: answer.approval }
      return { outcome: 'issued', answer }
    },
  }
}
