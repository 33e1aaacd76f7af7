// Borrowing where people may have to agree first. Nothing is minted before all of them have; who waits meanwhile holds the
// task and nothing else.
import type { Approval, BrokerClient, Environment, Outcome } from '../client/index.js'
import type { NamedRequest } from './arguments.js'
import { surroundingTask, taskTokenFor } from './env.js'
import type { HeldCredential } from './exec-environment.js'
import { UsageError } from './exit-codes.js'
import { startHeartbeats } from './heartbeats.js'
import type { Borrowed } from './held-task.js'
import { ApprovalWanting, NotApproved, WaitBrokenOff } from './not-approved.js'
import { describeError } from './output.js'

/** What is done when people have to agree first. */
export interface Approving {
  /** Resolves when all are approved, throws when one is not to be. Null: nobody can be shown that we wait. */
  readonly wait: ((approvals: readonly Approval[], taskToken: string | null) => Promise<unknown>) | null
  note(line: string): void
}

export const nobodyWaits: Approving = { wait: null, note: () => undefined }

/** A task before there is any credential in it. */
type HeldTask = Pick<Borrowed, 'taskId' | 'taskToken' | 'giveBack' | 'beat'>

/** The credentials of a task that we have just opened for them. Any end but an approval that is still wanting ends the task. */
export async function borrowWhenApproved(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  held: HeldTask,
  approvals: readonly Approval[],
  approving: Approving,
): Promise<Borrowed> {
  const endsWith = (error: unknown): Outcome => (error instanceof WaitBrokenOff ? 'cancelled' : 'failed')
  return await whileHeld(held, approving, endsWith, async () => {
    await untilNonePends(held, approvals, approving)
    return { ...held, credentials: await mintWhenApproved(client, wanted, held, approvals, approving) }
  })
}

/** A task that an earlier call left open for these approvals. */
export interface Resumed {
  readonly taskId: string
  readonly approvalIds: readonly string[]
  /** Whether its heartbeats are ours to send. */
  readonly beats: boolean
}

/**
 * Goes on in that task and, unless we are inside it, ends it at the end. What may pass, and an approval that another call has
 * used meanwhile, leave it as it is: it may be somebody else's work by now.
 */
export async function resumeTask(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  { taskId, approvalIds, beats }: Resumed,
  environment: Environment,
  approving: Approving,
): Promise<Borrowed> {
  const taskToken = taskTokenFor(taskId, environment)
  const isInside = surroundingTask(environment).id === taskId
  const approvals = await Promise.all(approvalIds.map((id) => client.showApproval(id, { taskToken })))
  const stray = approvals.find((one) => one.task_id !== taskId)
  if (stray !== undefined) throw new UsageError(`--approval ${stray.id} is of ${stray.task_id}, not of ${taskId}`)
  checkAllAskedFor(wanted, approvals)
  const held: HeldTask = {
    taskId,
    taskToken: taskToken ?? null,
    giveBack: async (outcome, waitSeconds) =>
      (await client.completeTask(taskId, { taskToken, outcome, waitSeconds })).receipts,
    ...(beats && !isInside ? { beat: () => client.heartbeat(taskId, { taskToken }) } : {}),
  }
  const endsWith = (error: unknown): Outcome | null => {
    const isOver = error instanceof NotApproved && error.approval.state !== 'used'
    return !isInside && (isOver || error instanceof WaitBrokenOff) ? 'cancelled' : null
  }
  return await whileHeld(held, approving, endsWith, async () => {
    await untilNonePends(held, approvals, approving)
    const credentials = await mintWhenApproved(client, wanted, held, approvals, approving)
    return isInside
      ? { ...held, credentials, giveBack: releasing(client, credentials, taskToken) }
      : { ...held, credentials }
  })
}

/** Asks for each in `taskId`; what people have to approve is waited for once, where somebody waits. */
export async function mintWhenApproved(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  task: Pick<Borrowed, 'taskId' | 'taskToken'>,
  approvals: readonly Approval[],
  approving: Approving,
): Promise<HeldCredential[]> {
  try {
    return await mintEach(client, wanted, task, approvals)
  } catch (error) {
    if (!(error instanceof ApprovalWanting) || approving.wait === null) throw error
    await approving.wait(error.approvals, task.taskToken)
    return await mintEach(client, wanted, task, [...approvals, ...error.approvals])
  }
}

/** Gives each of them back, and not the task. */
export function releasing(client: BrokerClient, credentials: readonly HeldCredential[], taskToken: string | undefined) {
  return () => Promise.all(credentials.map(({ answer }) => client.releaseLease(answer.lease.id, { taskToken })))
}

/** Keeps the task alive while `work` goes on. When that fails, `endsWith` says how the task ends, or null: not at all. */
async function whileHeld(
  held: HeldTask,
  { note }: Approving,
  endsWith: (error: unknown) => Outcome | null,
  work: () => Promise<Borrowed>,
): Promise<Borrowed> {
  const heartbeats = startHeartbeats(held, note)
  try {
    return await work()
  } catch (error) {
    const outcome = error instanceof ApprovalWanting ? null : endsWith(error)
    if (outcome === null) {
      if (!(error instanceof ApprovalWanting)) note(`${held.taskId} is left as it is`)
      throw error
    }
    await held.giveBack(outcome, 0).catch((second: unknown) => {
      note(`${held.taskId} could not be completed: ${describeError(second)}`)
    })
    throw error
  } finally {
    heartbeats.stop()
  }
}

async function untilNonePends(held: HeldTask, approvals: readonly Approval[], approving: Approving): Promise<void> {
  const over = approvals.find(({ state }) => state !== 'pending' && state !== 'approved')
  if (over !== undefined) throw new NotApproved(over)
  const [first, ...rest] = approvals.filter(({ state }) => state === 'pending')
  if (first === undefined) return
  if (approving.wait === null) throw new ApprovalWanting(held.taskId, held.taskToken, [first, ...rest])
  await approving.wait([first, ...rest], held.taskToken)
}

/** All or none: a refusal, or an approval that is wanting for one of them, gives the others back. */
async function mintEach(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  { taskId, taskToken }: Pick<Borrowed, 'taskId' | 'taskToken'>,
  approvals: readonly Approval[],
): Promise<HeldCredential[]> {
  const auth = { taskToken: taskToken ?? undefined }
  const left = [...approvals]
  const minted: HeldCredential[] = []
  const wanting: Approval[] = []
  const giveBack = releasing(client, minted, auth.taskToken)
  try {
    for (const { name, request } of wanted) {
      const approval = takeFor(request, left)
      const asked = await client.askCredential(taskId, { ...request, ...(approval && { approval_id: approval }) }, auth)
      if (asked.outcome === 'issued') minted.push({ name, answer: asked.answer })
      else wanting.push(asked.approval)
    }
    const [first, ...rest] = wanting
    if (first !== undefined) throw new ApprovalWanting(taskId, taskToken, [first, ...rest])
    return minted
  } catch (error) {
    await giveBack().catch((second: unknown) => {
      const leases = minted.map(({ answer }) => answer.lease.id).join(', ')
      const why = `${describeError(error)}; and ${leases} could not be given back: ${describeError(second)}`
      throw new Error(why, { cause: error })
    })
    throw error
  }
}

/** Else the command would run without it, and the end of the task would take the people's answer with it. */
function checkAllAskedFor(wanted: readonly NamedRequest[], approvals: readonly Approval[]): void {
  const left = [...approvals]
  for (const { request } of wanted) takeFor(request, left)
  const [idle] = left
  if (idle === undefined) return
  throw new UsageError(`--approval ${idle.id} is for ${idle.action} on ${idle.resource}, which is not asked for here`)
}

/**
 * The first approval of this action and resource that no other request has taken, one of the same context before others. The
 * broker compares the rest.
 */
function takeFor({ action, resource, context }: NamedRequest['request'], left: Approval[]): string | undefined {
  const fits = (one: Approval) => one.action === action && one.resource === resource
  const exact = left.findIndex((one) => fits(one) && isSameContext(one.context, context ?? {}))
  const at = exact < 0 ? left.findIndex(fits) : exact
  return at < 0 ? undefined : left.splice(at, 1)[0]?.id
}

function isSameContext(one: Approval['context'], other: Approval['context']): boolean {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
}
