// `hallpass can` and `hallpass actions`: planning. Nothing is opened, reserved or minted.
import { type BrokerClient, ClientError, type DryRun, type Grant, type RequestCredential } from '../client/index.js'
import { parseCredentialOptions } from './arguments.js'
import { type CommandIo, connectBroker } from './connection.js'
import { surroundingTask, taskTokenFor } from './env.js'
import { exitCodes } from './exit-codes.js'
import { formatTable } from './output.js'

export interface CanOptions {
  ttl?: string | undefined
  context?: readonly string[] | undefined
  task?: string | undefined
}

/** 0 yes, 4 no, 5 an approval is wanted. In a task (`--task`, HALLPASS_TASK) as its next request, else as the first of a new one. */
export async function runCan(action: string, resource: string, options: CanOptions, io: CommandIo): Promise<number> {
  const { ttl, context } = options
  const [wanted] = parseCredentialOptions({ action, resource, ttl, context })
  const client = connectBroker(io.environment)
  const taskId = options.task ?? surroundingTask(io.environment).id
  try {
    const found = await decideOnly(client, taskId, wanted?.request ?? { action, resource }, io)
    return tellDecision(`${action} on ${resource}`, found, io)
  } catch (error) {
    return tellRefusal(error, io)
  }
}

async function decideOnly(client: BrokerClient, taskId: string | undefined, request: RequestCredential, io: CommandIo) {
  if (taskId !== undefined) {
    return await client.dryRunCredential(taskId, request, { taskToken: taskTokenFor(taskId, io.environment) })
  }
  const [found] = await client.dryRunTask({ purpose: 'hallpass can', credentials: [request] })
  if (found === undefined) throw new Error('the broker decided nothing')
  return found
}

const mayOf = { permit: 'yes', deny: 'no', approval_required: 'approval' } as const
const codeOf = { yes: exitCodes.done, no: exitCodes.denied, approval: exitCodes.approvalWanting }

function tellDecision(what: string, { decision, ttl_seconds }: DryRun, io: CommandIo): number {
  const may = mayOf[decision.effect]
  const by = decision.policies.length === 0 ? '' : ` by ${decision.policies.join(', ')}`
  const ttl = ttl_seconds === null ? '' : `, for ${ttl_seconds} s`
  io.output.print({ may, decision, ttl_seconds }, `${may}: ${what}${by}${ttl}; decision ${decision.id}`)
  return codeOf[may]
}

/** A refusal of this request is an answer; everything else is a failure of the command. */
function tellRefusal(error: unknown, io: CommandIo): number {
  if (!(error instanceof ClientError) || error.status !== 403 || error.problem === undefined) throw error
  const { code, reason, detail, principal, decision } = error.problem
  const may = code === 'approval_required' ? 'approval' : 'no'
  const why = reason === undefined ? code : `${code} (${reason})`
  const verified = principal === undefined ? [] : [`verified: ${JSON.stringify(principal)}`]
  io.output.print(
    { may, code, reason, detail, principal, decision },
    [`${may}: ${why}: ${detail}`, ...verified].join('\n'),
  )
  return codeOf[may]
}

/** Every page: what may be asked for is short enough to be read whole. */
export async function runActions(options: { resource?: string | undefined }, io: CommandIo): Promise<number> {
  const client = connectBroker(io.environment)
  const grants: Grant[] = []
  let cursor: string | null = null
  do {
    const page: { grants: Grant[]; next_cursor: string | null } = await client.listGrants({
      resource: options.resource,
      ...(cursor === null ? {} : { cursor }),
    })
    grants.push(...page.grants)
    cursor = page.next_cursor
  } while (cursor !== null)
  const rows = grants.map((grant) => [
    grant.action,
    grant.access,
    grant.resource_type,
    `${grant.ttl.default_seconds} s (${grant.ttl.min_seconds} to ${grant.ttl.max_seconds})`,
    grant.revocation,
    contextOf(grant),
    ...(options.resource === undefined ? [] : [grant.may ?? '']),
  ])
  const heading = ['action', 'access', 'resource', 'ttl', 'revocation', 'context']
  io.output.print({ grants }, formatTable([[...heading, ...(options.resource === undefined ? [] : ['may'])], ...rows]))
  return exitCodes.done
}

/** `change_type=schema|data ticket?=OPS-[0-9]+` */
function contextOf({ context }: Grant): string {
  return Object.entries(context)
    .map(
      ([name, { type, one_of, pattern, optional }]) =>
        `${name}${optional ? '?' : ''}=${one_of?.join('|') ?? pattern ?? type}`,
    )
    .join(' ')
}
