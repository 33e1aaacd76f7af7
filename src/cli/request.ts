// `hallpass request`: one credential by hand, or for a program that asks a helper for it (AWS, Git, Kubernetes).
import type { BrokerClient } from '../client/index.js'
import { type CredentialOptions, parseCredentialOptions, parseDuration } from './arguments.js'
import { type CommandIo, connectBroker, wantsDpop } from './connection.js'
import { type CredentialFormat, credentialFormats, formatCredential } from './credential-formats.js'
import { surroundingTask, taskTokenFor } from './env.js'
import { exitCodes, UsageError } from './exit-codes.js'

export interface RequestOptions extends Omit<CredentialOptions, 'credential'> {
  purpose?: string | undefined
  task?: string | undefined
  format: string
  dryRun?: boolean | undefined
  dpop?: boolean | undefined
}

/** `operation` is what Git appends to a helper's command line: `get`, `store` or `erase`. Gives the exit code. */
export async function runRequest(
  options: RequestOptions,
  operation: string | undefined,
  io: CommandIo,
): Promise<number> {
  const format = parseFormat(options.format)
  if (operation !== undefined && format !== 'git') throw new UsageError(`request: unexpected argument ${operation}`)
  // Git also tells its helpers to remember and to forget: there is nothing here to do either with.
  if (operation !== undefined && operation !== 'get') return exitCodes.done
  const [wanted] = parseCredentialOptions(options)
  if (wanted === undefined) throw new UsageError('request: say what is needed: --action A --resource R')
  const client = connectBroker(io.environment, { dpop: wantsDpop(options, io.environment) })
  const taskId = options.task ?? surroundingTask(io.environment).id
  if (options.dryRun === true) return decideOnly(client, taskId, wanted.request, io)
  if (taskId !== undefined) {
    const taskToken = taskTokenFor(taskId, io.environment)
    const answer = await client.requestCredential(taskId, wanted.request, { taskToken })
    io.output.print(answer, formatCredential(answer, format))
    return exitCodes.done
  }
  const ttl = options.ttl === undefined ? undefined : parseDuration(options.ttl, '--ttl')
  return requestInNewTask(client, wanted.request, { purpose: options.purpose ?? 'hallpass request', ttl, format }, io)
}

type Wanted = ReturnType<typeof parseCredentialOptions>[number]['request']

/** A helper is started anew for each credential and nobody tells it of the end: its task lives no longer than the lease. */
async function requestInNewTask(
  client: BrokerClient,
  wanted: Wanted,
  task: { purpose: string; ttl: number | undefined; format: CredentialFormat },
  io: CommandIo,
): Promise<number> {
  const opened = await client.openTask({
    purpose: task.purpose,
    ...(task.ttl === undefined ? {} : { ttl_seconds: task.ttl }),
    credentials: [wanted],
  })
  const answer = opened.credentials?.[0]
  if (answer === undefined) throw new Error('the broker opened a task and gave no credential')
  const shown = { ...answer, task_token: opened.task_token }
  try {
    io.output.print(shown, formatCredential(task.format === 'json' ? shown : answer, task.format))
  } catch (error) {
    // Nobody will ever see this credential, so nobody needs it to live.
    await client.completeTask(opened.task.id, { taskToken: opened.task_token, outcome: 'failed' })
    throw error
  }
  return exitCodes.done
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
