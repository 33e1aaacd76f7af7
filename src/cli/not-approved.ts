// The two ways in which people keep a credential from being minted: they have not agreed yet, or they will not.
import type { Approval } from '../client/index.js'

/** Nobody has said no: the task stays open, and the same request is repeated with the approval's id. */
export class ApprovalWanting extends Error {
  readonly taskId: string
  /** Null where the task is somebody else's. */
  readonly taskToken: string | null
  readonly approvals: readonly [Approval, ...Approval[]]
  constructor(taskId: string, taskToken: string | null, approvals: readonly [Approval, ...Approval[]]) {
    super(`${approvals.map(({ id }) => id).join(', ')}: a person has to approve this first`)
    this.name = 'ApprovalWanting'
    this.taskId = taskId
    this.taskToken = taskToken
    this.approvals = approvals
  }
}

/** Denied, out of time or used: this approval is over. The message is for people. */
export class NotApproved extends Error {
  readonly approval: Approval
  constructor(approval: Approval) {
    super(describeEnd(approval))
    this.name = 'NotApproved'
    this.approval = approval
  }
}

/** A signal came while people were waited for. */
export class WaitBrokenOff extends Error {
  readonly signal: NodeJS.Signals
  constructor(signal: NodeJS.Signals) {
    super(`${signal} while waiting for the approval`)
    this.signal = signal
    this.name = 'WaitBrokenOff'
  }
}

function describeEnd({ id, state, action, resource, votes, needed, group, end_reason, expires_at }: Approval): string {
  const what = `${id} (${action} on ${resource})`
  if (state === 'used') return `${what} was used already: one approval is for one credential`
  const no = votes.find(({ vote }) => vote === 'deny')
  if (state === 'denied') return `${what} was denied${no ? ` by ${no.person ?? no.by}: ${no.reason}` : ''}`
  if (end_reason === 'task_ended') return `${what} is over: its task has ended`
  const yes = votes.filter(({ vote }) => vote === 'approve').length
  return `${what} expired at ${expires_at}: ${yes} of ${needed} votes of ${group} came in time`
}
