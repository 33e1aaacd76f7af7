// What a workload does at Hallpass: open a task, ask, give back. Plain calls of the HTTP API.
import { expectAnswer, textAt, valueAt } from './expectations.js'
import type { Answer } from './http-call.js'
import type { World } from './world.js'

export interface Wanted {
  readonly action: string
  readonly resource: string
  readonly ttl_seconds?: number
  readonly context?: Readonly<Record<string, string>>
  readonly approval_id?: string
}

export interface Task {
  readonly id: string
  /** Good for this task alone, and only to shrink it. */
  readonly token: string
}

export interface Borrowed {
  readonly lease: string
  readonly credential: Readonly<Record<string, unknown>>
  /** For the reader: how long, of which class, by which policy. */
  readonly seen: string
}

export async function openTask(world: World, token: string, purpose: string): Promise<Task> {
  const answer = await world.call('POST', '/v1/tasks', { token, body: { purpose } })
  expectAnswer(answer, 201)
  return { id: textAt(answer.body, 'task', 'id'), token: textAt(answer.body, 'task_token') }
}

export function ask(world: World, token: string, task: Task, wanted: Wanted): Promise<Answer> {
  return world.call('POST', `/v1/tasks/${task.id}/credentials`, { token, body: wanted })
}

export async function borrow(world: World, token: string, task: Task, wanted: Wanted): Promise<Borrowed> {
  const answer = await ask(world, token, task, wanted)
  expectAnswer(answer, 201)
  const { body } = answer
  const seconds = Math.round((Date.parse(textAt(body, 'lease', 'expires_at')) - Date.now()) / 1000)
  const policy = textAt(body, 'decision', 'policies', 0)
  return {
    lease: textAt(body, 'lease', 'id'),
    credential: (valueAt(body, ['credential']) ?? {}) as Record<string, unknown>,
    seen: `201, for ${seconds} s, by policy "${policy}"`,
  }
}

/** Ends the task and waits; gives what its receipts say, and throws unless each says that its credential is dead. */
export async function completeTask(world: World, task: Task): Promise<string> {
  const answer = await world.call('POST', `/v1/tasks/${task.id}/complete?wait_seconds=20`, {
    token: task.token,
    body: {},
  })
  expectAnswer(answer, 200)
  const receipts = valueAt(answer.body, ['receipts'])
  if (!Array.isArray(receipts) || receipts.length === 0) throw new Error(`no receipts: ${answer.text}`)
  for (const receipt of receipts as { outcome: string }[]) {
    if (receipt.outcome !== 'confirmed') throw new Error(`not confirmed dead: ${answer.text}`)
  }
  const { outcome, evidence } = receipts[0] as { outcome: string; evidence: string }
  return `receipt: ${outcome}, ${evidence}`
}
