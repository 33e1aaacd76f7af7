// How `exec` comes by what it holds while its command runs: by a task of its own, or by leases in a task that is somebody
// else's.
import { basename } from 'node:path'
import type { BrokerClient, Environment, Outcome } from '../client/index.js'
import { ClientError } from '../client/index.js'
import { type Approving, borrowWhenApproved, mintWhenApproved, nobodyWaits, releasing } from './approved-task.js'
import type { NamedRequest } from './arguments.js'
import { taskTokenFor } from './env.js'
import type { Borrowed } from './held-task.js'

export type { Borrowed } from './held-task.js'

/** One call: all credentials or none, and no task that nobody ends. */
export async function openOwnTask(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  task: { purpose: string; delegation?: string; ttlSeconds?: number; heartbeatSeconds?: number },
  approving: Approving = nobodyWaits,
): Promise<Borrowed> {
  const asked = await client.askTask({
    purpose: task.purpose,
    ...(task.delegation === undefined ? {} : { delegation: task.delegation }),
    ...(task.ttlSeconds === undefined ? {} : { ttl_seconds: task.ttlSeconds }),
    ...(task.heartbeatSeconds === undefined ? {} : { heartbeat_seconds: task.heartbeatSeconds }),
    credentials: wanted.map(({ request }) => request),
  })
  const { task: opened, taskToken } =
    asked.outcome === 'issued' ? { task: asked.answer.task, taskToken: asked.answer.task_token } : asked
  const taskId = opened.id
  const giveBack = async (outcome: Outcome, waitSeconds: number) =>
    (await client.completeTask(taskId, { taskToken, outcome, waitSeconds })).receipts
  const beat = task.heartbeatSeconds === undefined ? {} : { beat: () => client.heartbeat(taskId, { taskToken }) }
  const held = { taskId, taskToken, giveBack, ...beat }
  if (asked.outcome !== 'issued') return await borrowWhenApproved(client, wanted, held, asked.approvals, approving)
  const answers = asked.answer.credentials ?? []
  if (answers.length !== wanted.length) {
    await giveBack('failed', 0)
    throw new ClientError('invalid_answer', `asked for ${wanted.length} credentials, was given ${answers.length}`)
  }
  return { ...held, credentials: answers.map((answer, i) => ({ name: wanted[i]?.name ?? null, answer })) }
}

/** Leases in task `taskId`, one call each. A refusal gives those before it back. The task itself is left open. */
export async function joinTask(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  taskId: string,
  environment: Environment,
  approving: Approving = nobodyWaits,
): Promise<Borrowed> {
  const taskToken = taskTokenFor(taskId, environment)
  const task = { taskId, taskToken: taskToken ?? null }
  const credentials = await mintWhenApproved(client, wanted, task, [], approving)
  return { ...task, credentials, giveBack: releasing(client, credentials, taskToken) }
}

/** For the audit and approvers. The command's name alone: its arguments may hold anything. */
export function defaultPurpose(command: readonly string[]): string {
  return `hallpass exec ${basename(command[0] ?? '')}`.replace(/[\p{Cc}\p{Cs}]/gu, '?').slice(0, 500)
}
