// `hallpass approve|deny|approvals`: a person's answer to one exact request.
import { approvalState } from '../api/approvals.js'
import type { Approval, ApprovalState } from '../client/index.js'
import { systemClock } from '../core/clock.js'
import { countVotes, describeNeeds, formatApproval, formatApprovals } from './approval-text.js'
import { type CommandIo, connectBroker } from './connection.js'
import { exitCodes, UsageError } from './exit-codes.js'

export interface AnswerOptions {
  reason: string
}
export interface ApprovalsOptions {
  state?: string | undefined
  task?: string | undefined
  account?: string | undefined
  limit?: string | undefined
  cursor?: string | undefined
}

export async function runApprove(id: string, { reason }: AnswerOptions, io: CommandIo): Promise<number> {
  const answered = await connectBroker(io.environment).approve(id, reason)
  io.output.print(answered, describeAnswered(answered))
  return exitCodes.done
}

export async function runDeny(id: string, { reason }: AnswerOptions, io: CommandIo): Promise<number> {
  const answered = await connectBroker(io.environment).deny(id, reason)
  io.output.print(answered, describeAnswered(answered))
  return exitCodes.done
}

/** `approvals`, `approvals ID` or `approvals show ID`. */
export async function runApprovals(
  words: readonly string[],
  options: ApprovalsOptions,
  io: CommandIo,
): Promise<number> {
  const [first, ...rest] = words[0] === 'show' ? words.slice(1) : words
  if (rest.length > 0 || (words[0] === 'show' && first === undefined)) {
    throw new UsageError('approvals: expected nothing (the list), or the id of one')
  }
  return first === undefined ? await list(options, io) : await show(first, io)
}

async function list({ state, task, account, limit, cursor }: ApprovalsOptions, io: CommandIo): Promise<number> {
  const filter = { state: parseState(state), task, account, limit, cursor }
  const found = await connectBroker(io.environment).listApprovals(filter)
  io.output.print(found, formatApprovals(found.approvals, systemClock.now()))
  if (found.next_cursor !== null) io.output.note(`more: --cursor ${found.next_cursor}`)
  return exitCodes.done
}

async function show(id: string, io: CommandIo): Promise<number> {
  const found = await connectBroker(io.environment).showApproval(id)
  io.output.print(found, formatApproval(found, systemClock.now()))
  return exitCodes.done
}

function describeAnswered(approval: Approval): string {
  const { id, state, action, resource, expires_at } = approval
  const what = `${id}: ${action} on ${resource}`
  if (state === 'pending') {
    return `${what} still needs others: ${countVotes(approval)} votes, ${describeNeeds(approval)} until ${expires_at}`
  }
  return state === 'approved'
    ? `${what} is approved; whoever asked may use it once until ${expires_at}`
    : `${what} is ${state}`
}

function parseState(text: string | undefined): ApprovalState | undefined {
  if (text === undefined) return undefined
  const parsed = approvalState.safeParse(text)
  if (parsed.success) return parsed.data
  throw new UsageError(`--state: expected one of ${approvalState.options.join(', ')}`)
}
