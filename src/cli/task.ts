// `hallpass task open|show|complete|list`; `task delegate` has a file of its own.
import type { Outcome, Task } from '../client/index.js'
import { systemClock } from '../core/clock.js'
import { parseDuration } from './arguments.js'
import { type CommandIo, connectBroker } from './connection.js'
import { surroundingTask, taskTokenFor } from './env.js'
import { exitCodes, UsageError } from './exit-codes.js'
import { formatMembers, formatTable } from './output.js'
import { describeReceipt, formatReceipts, hasFailed, settleReceipts } from './receipts.js'

export interface TaskOpenOptions {
  purpose: string
  ttl?: string | undefined
  delegation?: string | undefined
}
export interface TaskCompleteOptions {
  outcome?: string | undefined
  wait: string
}
export interface TaskListOptions {
  state?: string | undefined
  principal?: string | undefined
  account?: string | undefined
  limit?: string | undefined
  cursor?: string | undefined
}

/** Prints the task and its token, as lines that may be appended to an environment file. */
export async function runTaskOpen(options: TaskOpenOptions, io: CommandIo): Promise<number> {
  const ttl = options.ttl === undefined ? {} : { ttl_seconds: parseDuration(options.ttl, '--ttl') }
  const child = options.delegation === undefined ? {} : { delegation: options.delegation }
  const opened = await connectBroker(io.environment).openTask({ purpose: options.purpose, ...ttl, ...child })
  io.output.print(opened, `HALLPASS_TASK=${opened.task.id}\nHALLPASS_TASK_TOKEN=${opened.task_token}`)
  if (io.output.format === 'text') io.output.note(`open until ${opened.task.expires_at}`)
  return exitCodes.done
}

/** Without an id: the task that we are in. */
export async function runTaskShow(id: string | undefined, io: CommandIo): Promise<number> {
  const taskId = resolveTaskId(id, io)
  const shown = await connectBroker(io.environment).showTask(taskId, {
    taskToken: taskTokenFor(taskId, io.environment),
  })
  io.output.print(shown, formatMembers({ ...shown }))
  return exitCodes.done
}

/** 7 when the end of a credential failed. */
export async function runTaskComplete(
  id: string | undefined,
  options: TaskCompleteOptions,
  io: CommandIo,
): Promise<number> {
  const taskId = resolveTaskId(id, io)
  const outcome = options.outcome === undefined ? {} : { outcome: parseOutcome(options.outcome) }
  const client = connectBroker(io.environment)
  let task: Task | undefined
  const attempt = async (waitSeconds: number) => {
    const taskToken = taskTokenFor(taskId, io.environment)
    const answer = await client.completeTask(taskId, { ...outcome, taskToken, waitSeconds })
    task = answer.task
    return answer.receipts
  }
  const receipts = await settleReceipts(attempt, parseDuration(options.wait, '--wait'), systemClock)
  io.output.print({ task, receipts }, formatReceipts(receipts))
  for (const one of receipts) if (one.outcome !== 'confirmed') io.output.note(`hallpass: ${describeReceipt(one)}`)
  return hasFailed(receipts) ? exitCodes.revocationFailed : exitCodes.done
}

export async function runTaskList(options: TaskListOptions, io: CommandIo): Promise<number> {
  const { state, ...rest } = options
  if (state !== undefined && state !== 'open' && state !== 'ended')
    throw new UsageError('--state: expected open or ended')
  const list = await connectBroker(io.environment).listTasks({ state, ...filterOf(rest) })
  const rows = list.tasks.map((one) => [
    one.id,
    one.state,
    one.outcome ?? '-',
    one.expires_at,
    one.principal,
    shortened(one.purpose),
  ])
  io.output.print(list, formatTable([['TASK', 'STATE', 'OUTCOME', 'EXPIRES', 'PRINCIPAL', 'PURPOSE'], ...rows]))
  if (list.next_cursor !== null) io.output.note(`more: --cursor ${list.next_cursor}`)
  return exitCodes.done
}

/** Of a row only the beginning: what is long enough could go on as a row of its own. `task show` has all of it. */
const shortened = (purpose: string) => (purpose.length > 60 ? `${purpose.slice(0, 59)}…` : purpose)

const filterOf = ({ principal, account, limit, cursor }: TaskListOptions) => ({ principal, account, limit, cursor })

export function resolveTaskId(id: string | undefined, io: CommandIo): string {
  const taskId = id ?? surroundingTask(io.environment).id
  if (taskId === undefined) throw new UsageError('which task? Give its id, or set HALLPASS_TASK')
  return taskId
}

function parseOutcome(text: string): Outcome {
  if (text === 'succeeded' || text === 'failed' || text === 'cancelled') return text
  throw new UsageError('--outcome: expected succeeded, failed or cancelled')
}
