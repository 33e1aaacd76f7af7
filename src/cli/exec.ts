// `hallpass exec … -- CMD`: borrow, run, give back. Whatever happens after the borrowing, the giving back happens too.
import { type BrokerClient, isRenewable, type Outcome, type Receipt } from '../client/index.js'
import { systemClock } from '../core/clock.js'
import { type Approving, resumeTask } from './approved-task.js'
import {
  type CredentialOptions,
  type ExplicitVariable,
  type NamedRequest,
  parseCredentialOptions,
  parseDuration,
  parseExplicitVariables,
} from './arguments.js'
import { untilApproved } from './await-approval.js'
import { type Borrowed, defaultPurpose, joinTask, openOwnTask } from './borrowed.js'
import {
  type CommandEnd,
  runCommand,
  type SignalSource,
  type SignalWatch,
  signalExitCode,
  watchSignals,
} from './child-process.js'
import { type CommandIo, connectBroker, wantsDpop } from './connection.js'
import type { Terminal } from './countdown.js'
import { withoutIdentity } from './env.js'
import { credentialVariables, ExecEnvironmentError } from './exec-environment.js'
import { exitCodes, UsageError } from './exit-codes.js'
import { heartbeatSeconds, startHeartbeats } from './heartbeats.js'
import { delegateToSelf } from './nested.js'
import { ApprovalWanting, WaitBrokenOff } from './not-approved.js'
import { describeError } from './output.js'
import { printWanting } from './print-wanting.js'
import { describeReceipt, settleReceipts } from './receipts.js'

export interface ExecOptions extends CredentialOptions {
  purpose?: string | undefined
  env?: readonly string[] | undefined
  settle: string
  requireRevoked?: boolean | undefined
  task?: string | undefined
  keepIdentity?: boolean | undefined
  dpop?: boolean | undefined
  wait?: boolean | undefined
  approval?: readonly string[] | undefined
}

export interface ExecIo extends CommandIo {
  readonly signals: SignalSource
  /** Whether ^C reaches the command without us. */
  readonly onTerminal: boolean
  /** What stderr is, where it is one. */
  readonly terminal?: Terminal | undefined
}

interface Plan {
  readonly command: readonly string[]
  readonly wanted: readonly NamedRequest[]
  readonly explicit: readonly ExplicitVariable[]
  readonly settleSeconds: number
  readonly options: ExecOptions
}

/** Gives the command's exit code, or 125 and why on stderr. Throws UsageError for what was typed wrong. */
export async function runExec(options: ExecOptions, command: readonly string[], io: ExecIo): Promise<number> {
  const plan = parsePlan(options, command)
  const signals = watchSignals(io.signals, io.onTerminal)
  try {
    const borrowed = await borrow(plan, io, signals)
    return await runThenGiveBack(borrowed, plan, io, signals)
  } catch (error) {
    if (error instanceof ApprovalWanting) printWanting(error, 'exec', io.output)
    else io.output.note(`hallpass exec: ${describeError(error)}`)
    return error instanceof WaitBrokenOff ? signalExitCode(error.signal) : exitCodes.execFailed
  } finally {
    signals.stop()
  }
}

function parsePlan(options: ExecOptions, command: readonly string[]): Plan {
  if (command.length === 0) throw new UsageError('exec: no command was given after --')
  if (options.approval !== undefined && options.task === undefined) {
    throw new UsageError('--approval goes with the --task that it was given for')
  }
  const wanted = parseCredentialOptions(options)
  const names = wanted.map(({ name }) => name)
  const explicit = parseExplicitVariables(options.env ?? [], names)
  return { command, wanted, explicit, settleSeconds: parseDuration(options.settle, '--settle'), options }
}

async function borrow(plan: Plan, io: ExecIo, signals: SignalWatch): Promise<Borrowed> {
  const { options, wanted, command } = plan
  const { environment } = io
  const client = connectBroker(environment, { dpop: wantsDpop(options, environment) })
  const approving = approvingOf(plan, client, io, signals)
  // With a token that cannot be renewed our own heartbeats would be refused before the work is done.
  const beats = isRenewable(environment)
  if (options.task !== undefined) {
    const approvalIds = options.approval ?? []
    if (approvalIds.length === 0) return await joinTask(client, wanted, options.task, environment, approving)
    return await resumeTask(client, wanted, { taskId: options.task, approvalIds, beats }, environment, approving)
  }
  const ttlSeconds = Math.max(0, ...wanted.map(({ request }) => request.ttl_seconds ?? 0))
  const delegation = await delegateToSelf(client, wanted, environment)
  const task = {
    purpose: options.purpose ?? defaultPurpose(command),
    ...(delegation === null ? {} : { delegation }),
    // A task lives for an hour unless told otherwise, and a lease never outlives its task.
    ...(ttlSeconds > 3600 ? { ttlSeconds } : {}),
    ...(beats ? { heartbeatSeconds } : {}),
  }
  return await openOwnTask(client, wanted, task, approving)
}

/** Waiting is for a person who sees that we do: without a terminal the task is left open, and whoever started us goes on with it. */
function approvingOf({ options }: Plan, client: BrokerClient, io: ExecIo, signals: SignalWatch): Approving {
  const { output, terminal } = io
  const note = (line: string) => output.note(`hallpass exec: ${line}`)
  if (options.wait !== true || terminal === undefined) return { wait: null, note }
  const waiting = { client, output, terminal, signal: signals.first }
  return { wait: (approvals, taskToken) => untilApproved(approvals, { ...waiting, taskToken }), note }
}

async function runThenGiveBack(borrowed: Borrowed, plan: Plan, io: ExecIo, signals: SignalWatch): Promise<number> {
  let end: CommandEnd
  const heartbeats = startHeartbeats(borrowed, (line) => io.output.note(`hallpass exec: ${line}`))
  try {
    end = await runWith(borrowed, plan, io, signals)
  } catch (error) {
    await giveBack(borrowed, 'failed', plan, io)
    throw error
  } finally {
    heartbeats.stop()
  }
  if (await giveBack(borrowed, outcomeOf(end, signals), plan, io)) return end.exitCode
  io.output.note(`hallpass exec: the command itself ended with ${end.exitCode}`)
  return exitCodes.execFailed
}

async function runWith(borrowed: Borrowed, plan: Plan, io: ExecIo, signals: SignalWatch): Promise<CommandEnd> {
  const early = signals.received()
  if (early !== null) return { exitCode: signalExitCode(early), signal: early }
  const variables = credentialVariables(borrowed.credentials, plan.explicit)
  const { taskId, taskToken } = borrowed
  for (const name of ['HALLPASS_TASK', 'HALLPASS_TASK_TOKEN']) {
    if (name in variables) throw new ExecEnvironmentError(`a credential wants to set ${name}, which exec sets itself`)
  }
  const inherited = plan.options.keepIdentity === true ? io.environment : withoutIdentity(io.environment)
  const task = { HALLPASS_TASK: taskId, HALLPASS_TASK_TOKEN: taskToken ?? undefined }
  return runCommand(plan.command, { ...inherited, ...variables, ...task }, signals)
}

function outcomeOf(end: CommandEnd, signals: SignalWatch): Outcome {
  if (end.signal !== null || signals.received() !== null) return 'cancelled'
  return end.exitCode === 0 ? 'succeeded' : 'failed'
}

/** Says on stderr whatever was not confirmed. False where that is exec's own failure. */
async function giveBack(borrowed: Borrowed, outcome: Outcome, plan: Plan, io: ExecIo): Promise<boolean> {
  const note = (line: string) => io.output.note(`hallpass exec: ${line}`)
  let receipts: Receipt[]
  try {
    const attempt = (waitSeconds: number) => borrowed.giveBack(outcome, waitSeconds)
    receipts = await settleReceipts(attempt, plan.settleSeconds, systemClock)
  } catch (error) {
    const ends = borrowed.credentials.map(({ answer }) => answer.lease.expires_at).sort()
    note(`${borrowed.taskId} could not be completed: ${describeError(error)}`)
    note(`its credentials end by themselves, the last at ${ends.at(-1)}`)
    return false
  }
  const unconfirmed = receipts.filter((receipt) => receipt.outcome !== 'confirmed')
  for (const receipt of unconfirmed) note(describeReceipt(receipt, whatOf(borrowed, receipt)))
  if (unconfirmed.some((receipt) => receipt.outcome === 'failed')) return false
  if (plan.options.requireRevoked !== true || unconfirmed.length === 0) return true
  note('--require-revoked: not every credential is proven dead')
  return false
}

function whatOf(borrowed: Borrowed, receipt: Receipt): string | undefined {
  const lease = borrowed.credentials.find(({ answer }) => answer.lease.id === receipt.lease_id)?.answer.lease
  return lease === undefined ? undefined : `${lease.id} (${lease.action} on ${lease.resource})`
}
