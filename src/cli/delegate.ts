// `hallpass task delegate`: a part of what this task may do, for somebody else's task below it.
import type { Delegate } from '../client/index.js'
import { parseDuration } from './arguments.js'
import { type CommandIo, connectBroker } from './connection.js'
import { taskTokenFor } from './env.js'
import { exitCodes, UsageError } from './exit-codes.js'
import { resolveTaskId } from './task.js'

export interface TaskDelegateOptions {
  to?: string | undefined
  instance?: string | undefined
  agent?: string | undefined
  allow?: readonly string[] | undefined
  ttl: string
}

/** Prints the delegation's id, or for a sub-agent its token as a line for an environment file. */
export async function runTaskDelegate(
  id: string | undefined,
  options: TaskDelegateOptions,
  io: CommandIo,
): Promise<number> {
  const taskId = resolveTaskId(id, io)
  const request: Delegate = {
    ...parseDelegate(options),
    ceiling: parseCeiling(options.allow ?? []),
    ttl_seconds: parseDuration(options.ttl, '--ttl'),
  }
  const taskToken = taskTokenFor(taskId, io.environment)
  const answer = await connectBroker(io.environment).delegateTask(taskId, request, { taskToken })
  const { delegation, delegation_token: token } = answer
  io.output.print(answer, token === undefined ? delegation.id : `HALLPASS_DELEGATION_TOKEN=${token}`)
  if (io.output.format === 'text') io.output.note(`good for one task, until ${delegation.expires_at}`)
  return exitCodes.done
}

function parseDelegate({ to, instance, agent }: TaskDelegateOptions): Pick<Delegate, 'delegate' | 'agent'> {
  if ((to === undefined) === (agent === undefined)) {
    throw new UsageError('task delegate: to whom? Either --to ISSUER:SUBJECT or --agent NAME')
  }
  if (agent !== undefined) {
    if (instance !== undefined)
      throw new UsageError('--instance goes with --to: a sub-agent has no identity of its own')
    return { agent }
  }
  const [, issuer, subject] = /^([a-z][a-z0-9-]*):(.+)$/s.exec(to ?? '') ?? []
  if (issuer === undefined || subject === undefined) {
    throw new UsageError('--to: expected ISSUER:SUBJECT, as `hallpass whoami` of the delegate shows its id')
  }
  return { delegate: { issuer, subject, ...(instance === undefined ? {} : { instance }) } }
}

function parseCeiling(texts: readonly string[]): Delegate['ceiling'] {
  if (texts.length === 0) throw new UsageError('task delegate: what may it do? --allow ACTION=RESOURCE, once for each')
  return texts.map((text) => {
    const [, action, resource] = /^([^=]+)=(.+)$/s.exec(text) ?? []
    if (action !== undefined && resource !== undefined) return { action, resource }
    throw new UsageError(`--allow: expected ACTION=RESOURCE, such as repo.read=repo:acme/web, not "${text}"`)
  })
}
