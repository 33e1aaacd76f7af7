// What `exec` holds while its command runs: a task of its own, or leases in a task that is somebody else's. Whoever has
// one gives it back; that is the only way out.
import { basename } from 'node:path'
import type { BrokerClient, Environment, Outcome, Receipt } from '../client/index.js'
import { ClientError } from '../client/index.js'
import type { NamedRequest } from './arguments.js'
import { taskTokenFor } from './env.js'
import type { HeldCredential } from './exec-environment.js'
import { describeError } from './output.js'

export interface Borrowed {
  readonly taskId: string
  /** Null where a task was joined without its token. */
  readonly taskToken: string | null
  readonly credentials: readonly HeldCredential[]
  /** Idempotent; one receipt per lease. */
  giveBack(outcome: Outcome, waitSeconds: number): Promise<Receipt[]>
  /** Shows that the work goes on; absent where nobody expects it of us. */
  beat?(): Promise<unknown>
}

/** One call: all credentials or none, and no task that nobody ends. */
export async function openOwnTask(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  task: { purpose: string; delegation?: string; ttlSeconds?: number; heartbeatSeconds?: number },
): Promise<Borrowed> {
  const opened = await client.openTask({
    purpose: task.purpose,
    ...(task.delegation === undefined ? {} : { delegation: task.delegation }),
    ...(task.ttlSeconds === undefined ? {} : { ttl_seconds: task.ttlSeconds }),
    ...(task.heartbeatSeconds === undefined ? {} : { heartbeat_seconds: task.heartbeatSeconds }),
    credentials: wanted.map(({ request }) => request),
  })
  const taskToken = opened.task_token
  const taskId = opened.task.id
  const giveBack = async (outcome: Outcome, waitSeconds: number) =>
    (await client.completeTask(taskId, { taskToken, outcome, waitSeconds })).receipts
  const answers = opened.credentials ?? []
  if (answers.length !== wanted.length) {
    await giveBack('failed', 0)
    throw new ClientError('invalid_answer', `asked for ${wanted.length} credentials, was given ${answers.length}`)
  }
  const credentials = answers.map((answer, i) => ({ name: wanted[i]?.name ?? null, answer }))
  if (task.heartbeatSeconds === undefined) return { taskId, taskToken, credentials, giveBack }
  return { taskId, taskToken, credentials, giveBack, beat: () => client.heartbeat(taskId, { taskToken }) }
}

/** Leases in task `taskId`, one call each. A refusal gives those before it back. The task itself is left open. */
export async function joinTask(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  taskId: string,
  environment: Environment,
): Promise<Borrowed> {
  const taskToken = taskTokenFor(taskId, environment)
  const credentials: HeldCredential[] = []
  const giveBack = () =>
    Promise.all(credentials.map(({ answer }) => client.releaseLease(answer.lease.id, { taskToken })))
  try {
    for (const { name, request } of wanted) {
      credentials.push({ name, answer: await client.requestCredential(taskId, request, { taskToken }) })
    }
  } catch (error) {
    await giveBack().catch((second: unknown) => {
      const leases = credentials.map(({ answer }) => answer.lease.id).join(', ')
      const why = `${describeError(error)}; and ${leases} could not be given back: ${describeError(second)}`
      throw new Error(why, { cause: error })
    })
    throw error
  }
  return { taskId, taskToken: taskToken ?? null, credentials, giveBack }
}

/** For the audit and approvers. The command's name alone: its arguments may hold anything. */
export function defaultPurpose(command: readonly string[]): string {
  return `hallpass exec ${basename(command[0] ?? '')}`.replace(/[\p{Cc}\p{Cs}]/gu, '?').slice(0, 500)
}
