// `hallpass task event`: a tool call onto the task's timeline. It stands there as claimed; nobody verifies it.
import type { ToolCalls } from '../client/index.js'
import { type CommandIo, connectBroker } from './connection.js'
import { surroundingTask, taskTokenFor } from './env.js'
import { exitCodes, UsageError } from './exit-codes.js'

export interface TaskEventOptions {
  tool: string
  outcome: string
  action?: string | undefined
  resource?: string | undefined
  detail?: string | undefined
  at?: string | undefined
}

/** Without an id: the task that we are in. */
export async function runTaskEvent(id: string | undefined, options: TaskEventOptions, io: CommandIo): Promise<number> {
  const taskId = id ?? surroundingTask(io.environment).id
  if (taskId === undefined) throw new UsageError('which task? Give its id, or set HALLPASS_TASK')
  const { tool, outcome, action, resource, detail, at } = options
  const call: ToolCalls[number] = { type: 'tool_call', tool, outcome, action, resource, detail, at }
  const taskToken = taskTokenFor(taskId, io.environment)
  const answer = await connectBroker(io.environment).reportEvents(taskId, [call], { taskToken })
  io.output.print(answer, `recorded; ${answer.remaining} more may be reported`)
  if (answer.redacted > 0) io.output.note('hallpass: what looked like a secret in it was left out')
  return exitCodes.done
}
