// `hallpass request`: one credential by hand, or for a program that asks a helper for it (AWS, Git, Kubernetes).
import type { Approval, AskedTask, BrokerClient, CredentialAnswer } from '../client/index.js'
import { type CredentialOptions, parseCredentialOptions, parseDuration } from './arguments.js'
import { untilApproved } from './await-approval.js'
import { signalExitCode, watchSignals } from './child-process.js'
import { type CommandIo, connectBroker, wantsDpop } from './connection.js'
import { type CredentialFormat, credentialFormats, formatCredential } from './credential-formats.js'
import { surroundingTask, taskTokenFor } from './env.js'
import type { ExecIo } from './exec.js'
import { exitCodes, UsageError } from './exit-codes.js'
import { ApprovalWanting, WaitBrokenOff } from './not-approved.js'
import { printWanting, wantingNotes } from './print-wanting.js'

export interface RequestOptions extends Omit<CredentialOptions, 'credential'> {
  purpose?: string | undefined
  task?: string | undefined
  format: string
  dryRun?: boolean | undefined
  dpop?: boolean | undefined
  approval?: string | undefined
  /** `true`: as long as the approval itself. */
  wait?: string | true | undefined
}

type Wanted = ReturnType<typeof parseCredentialOptions>[number]['request']

interface Plan {
  readonly wanted: Wanted
  readonly format: CredentialFormat
  /** Null: not at all. Infinite: as long as the approval itself. */
  readonly waitMs: number | null
  readonly options: RequestOptions
}

/** `operation` is what Git appends to a helper's command line: `get`, `store` or `erase`. Gives the exit code. */
export async function runRequest(options: RequestOptions, operation: string | undefined, io: ExecIo): Promise<number> {
  const format = parseFormat(options.format)
  if (operation !== undefined && format !== 'git') throw new UsageError(`request: unexpected argument ${operation}`)
  // Git also tells its helpers to remember and to forget: there is nothing here to do either with.
  if (operation !== undefined && operation !== 'get') return exitCodes.done
  const [first] = parseCredentialOptions(options)
  if (first === undefined) throw new UsageError('request: say what is needed: --action A --resource R')
  const wanted = { ...first.request, ...(options.approval === undefined ? {} : { approval_id: options.approval }) }
  const client = connectBroker(io.environment, { dpop: wantsDpop(options, io.environment) })
  const taskId = options.task ?? surroundingTask(io.environment).id
  if (options.dryRun === true) return decideOnly(client, taskId, wanted, io)
  if (options.approval !== undefined && taskId === undefined) {
    throw new UsageError('--approval goes with the --task that it was given for')
  }
  const plan = { wanted, format, waitMs: parseWait(options.wait), options }
  return await endingWith(io, format, async () =>
    taskId === undefined ? requestInNewTask(client, plan, io) : requestInTask(client, taskId, plan, io),
  )
}

/** An approval that is wanting and a wait that was broken off are exit codes of their own. */
async function endingWith(io: ExecIo, format: CredentialFormat, story: () => Promise<number>): Promise<number> {
  try {
    return await story()
  } catch (error) {
    if (error instanceof WaitBrokenOff) {
      io.output.note(`hallpass request: ${error.message}`)
      return signalExitCode(error.signal)
    }
    if (!(error instanceof ApprovalWanting)) throw error
    // Another program reads our stdout then, as a credential, or a shell as commands.
    if (format === 'json' || io.output.format === 'json') printWanting(error, 'request', io.output)
    else for (const line of wantingNotes(error, 'request')) io.output.note(line)
    return exitCodes.approvalWanting
  }
}

async function requestInTask(client: BrokerClient, taskId: string, plan: Plan, io: ExecIo): Promise<number> {
  const taskToken = taskTokenFor(taskId, io.environment)
  const ask = (wanted: Wanted) => client.askCredential(taskId, wanted, { taskToken })
  const asked = await ask(plan.wanted)
  const wanting = { taskId, taskToken: taskToken ?? null }
  const answer =
    asked.outcome === 'issued' ? asked.answer : await askAgain(client, wanting, asked.approval, plan, io, ask)
  io.output.print(answer, formatCredential(answer, plan.format))
  return exitCodes.done
}

/** A helper is started anew for each credential and nobody tells it of the end: its task lives no longer than the lease. */
async function requestInNewTask(client: BrokerClient, plan: Plan, io: ExecIo): Promise<number> {
  const { options, wanted, format } = plan
  const asked = await client.askTask({
    purpose: options.purpose ?? 'hallpass request',
    ...ttlOf(plan),
    credentials: [wanted],
  })
  const [taskId, taskToken] =
    asked.outcome === 'issued' ? [asked.answer.task.id, asked.answer.task_token] : [asked.task.id, asked.taskToken]
  try {
    const answer = await answerOf(client, asked, plan, io)
    const shown = { ...answer, task_token: taskToken }
    io.output.print(shown, formatCredential(format === 'json' ? shown : answer, format))
  } catch (error) {
    if (error instanceof ApprovalWanting) throw error
    // Nobody will ever see this credential, so nobody needs it to live.
    await client.completeTask(taskId, { taskToken, outcome: error instanceof WaitBrokenOff ? 'cancelled' : 'failed' })
    throw error
  }
  return exitCodes.done
}

async function answerOf(client: BrokerClient, asked: AskedTask, plan: Plan, io: ExecIo): Promise<CredentialAnswer> {
  if (asked.outcome === 'issued') {
    const answer = asked.answer.credentials?.[0]
    if (answer === undefined) throw new Error('the broker opened a task and gave no credential')
    return answer
  }
  const { task, taskToken, approvals } = asked
  const [approval] = approvals
  if (approval === undefined) throw new Error('the broker wants an approval and names none')
  const ask = (wanted: Wanted) => client.askCredential(task.id, wanted, { taskToken })
  return await askAgain(client, { taskId: task.id, taskToken }, approval, plan, io, ask)
}

/** Waits where that was asked for, and repeats the request. Throws ApprovalWanting when it is not approved by then. */
async function askAgain(
  client: BrokerClient,
  { taskId, taskToken }: { taskId: string; taskToken: string | null },
  approval: Approval,
  { wanted, waitMs }: Plan,
  io: ExecIo,
  ask: (wanted: Wanted) => ReturnType<BrokerClient['askCredential']>,
): Promise<CredentialAnswer> {
  const wanting = () => new ApprovalWanting(taskId, taskToken, [approval])
  if (waitMs === null) throw wanting()
  const signals = watchSignals(io.signals, io.onTerminal)
  try {
    const { output, terminal } = io
    const timeoutMs = Number.isFinite(waitMs) ? waitMs : undefined
    const waiting = { client, output, terminal, signal: signals.first, timeoutMs, taskToken }
    if (!(await untilApproved([approval], waiting))) throw wanting()
  } finally {
    signals.stop()
  }
  const asked = await ask({ ...wanted, approval_id: approval.id })
  if (asked.outcome === 'issued') return asked.answer
  throw new ApprovalWanting(taskId, taskToken, [asked.approval])
}

const longestApprovalSeconds = 3600

/** With `--wait` the task also lives while people are waited for. */
function ttlOf({ options, waitMs }: Plan): { ttl_seconds?: number } {
  if (options.ttl === undefined) return {}
  const waitSeconds = waitMs === null ? 0 : Math.min(waitMs / 1000, longestApprovalSeconds)
  return { ttl_seconds: parseDuration(options.ttl, '--ttl') + waitSeconds }
}

function parseWait(wait: RequestOptions['wait']): number | null {
  if (wait === undefined) return null
  return wait === true ? Number.POSITIVE_INFINITY : parseDuration(wait, '--wait') * 1000
}

async function decideOnly(client: BrokerClient, taskId: string | undefined, wanted: Wanted, io: CommandIo) {
  if (taskId === undefined) throw new UsageError('--dry-run decides inside a task: give --task')
  const answer = await client.dryRunCredential(taskId, wanted, { taskToken: taskTokenFor(taskId, io.environment) })
  const { effect, policies } = answer.decision
  const by = policies.length === 0 ? '' : ` by ${policies.join(', ')}`
  const ttl = answer.ttl_seconds === null ? '' : `, for ${answer.ttl_seconds} s`
  io.output.print(answer, `${effect}${by}${ttl}`)
  return { permit: exitCodes.done, deny: exitCodes.denied, approval_required: exitCodes.approvalWanting }[effect]
}

function parseFormat(text: string): CredentialFormat {
  const format = credentialFormats.find((known) => known === text)
  if (format !== undefined) return format
  throw new UsageError(`--format: expected one of ${credentialFormats.join(', ')}, not "${text}"`)
}
