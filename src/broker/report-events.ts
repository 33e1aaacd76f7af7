// What a task's worker says that it did. It is written down as said, never as seen: `claimed`, capped per task, without the
// secrets that tools print, and on a part of the disk that no decision needs.
import type { ToolCall } from '../api/events.js'
import type { AuditRecord } from '../audit/record.js'
import { candidatesOf, isSecretName, redact } from '../audit/redaction.js'
import type { Json } from '../core/canonical-json.js'
import { BrokerError } from '../core/errors.js'
import type { Task } from '../ledger/task.js'
import type { Parts } from './parts.js'
import { notFound } from './task-access.js'

export interface Reported {
  readonly recorded: number
  /** Of `limits.task.events`. */
  readonly remaining: number
  /** How many of them held what looked like a secret. */
  readonly redacted: number
}

export interface Reporter {
  /** Who says so: the principal, or the bearer of the task's token. */
  readonly actor: string
  readonly requestId: string
}

/** Throws `task_closed`, `quota`, `audit_unavailable` (also when the disk is kept for what we do), `ledger_unavailable`. */
export async function reportEvents(
  parts: Parts,
  by: Reporter,
  task: Task,
  calls: readonly ToolCall[],
): Promise<Reported> {
  const issued = await findIssued(parts, task, calls)
  const clean = calls.map((call) => cleanCall(call, issued))
  const limit = parts.rules().limits.task.events
  const counted = await parts.ledger.countEvents(task.id, calls.length, limit)
  if (counted.outcome === 'not_found') throw notFound('task')
  if (counted.outcome === 'closed') throw new BrokerError('task_closed', `${task.id} has ended`)
  if (counted.outcome === 'quota') throw await refuseMore(parts, by, task, counted)
  await writeAll(parts, by, task, clean)
  const redacted = clean.filter((call, i) => JSON.stringify(call) !== JSON.stringify(calls[i])).length
  return { recorded: calls.length, remaining: counted.left, redacted }
}

/** Written down the first time alone: whoever goes on after it must not fill the audit with refusals instead. */
async function refuseMore(parts: Parts, by: Reporter, task: Task, { left, first }: { left: number; first: boolean }) {
  const detail = `limits.task.events: ${task.id} may report ${left} more events`
  if (first) {
    const { principal, account, id } = task
    const { actor, requestId } = by
    const record = { event: 'request.refused', principal, account, task: id, request_id: requestId, actor } as const
    await parts.audit.append({ ...record, code: 'quota', detail })
  }
  return new BrokerError('quota', detail, { retryAfterSeconds: secondsLeft(parts, task) })
}

/** There is room again when the task is over, and not before. */
const secondsLeft = (parts: Parts, task: Task) => Math.max(1, Math.ceil((task.expiresAt - parts.clock.now()) / 1000))

async function writeAll(parts: Parts, by: Reporter, task: Task, calls: readonly ToolCall[]): Promise<void> {
  const written = await Promise.allSettled(calls.map((call) => parts.audit.append(recordOf(by, task, call))))
  const failed = written.filter((one) => one.status === 'rejected')
  if (failed.length === 0) return
  // Best effort: the caller is about to be told that they were not taken, and may say them again.
  await parts.ledger.giveBackEvents(task.id, failed.length).catch(() => undefined)
  throw failed[0]?.reason
}

function recordOf(by: Reporter, task: Task, call: ToolCall): AuditRecord {
  const { tool, action, resource, outcome, at, detail } = call
  return {
    event: 'tool.called',
    claimed: true,
    principal: task.principal,
    account: task.account,
    task: task.id,
    request_id: by.requestId,
    actor: by.actor,
    tool,
    action,
    resource,
    outcome,
    claimed_at: at,
    detail: detail as Json | undefined,
  }
}

const textsOf = ({ tool, action, resource, outcome, detail }: ToolCall): string[] => {
  const told = typeof detail === 'object' ? Object.entries(detail).flat() : [detail]
  return [tool, action, resource, outcome, ...told].filter((text) => typeof text === 'string')
}

/** Which values in the texts were issued in this task or above it. */
async function findIssued(parts: Parts, task: Task, calls: readonly ToolCall[]): Promise<string[]> {
  const valueByDigest = new Map<string, string>()
  const digests = () => {
    for (const value of new Set(calls.flatMap(textsOf).flatMap((text) => [...candidatesOf(text)]))) {
      for (const digest of parts.sealing.digestsOf(value)) valueByDigest.set(digest, value)
    }
    return [...valueByDigest.keys()]
  }
  const found = await parts.ledger.findSecrets(task.chain, digests)
  return [...found].flatMap((digest) => valueByDigest.get(digest) ?? [])
}

function cleanCall(call: ToolCall, issued: readonly string[]): ToolCall {
  const clean = (text: string) => redact(text, issued)
  const { tool, action, resource, outcome, detail } = call
  return {
    ...call,
    tool: clean(tool),
    outcome: clean(outcome),
    ...(action === undefined ? {} : { action: clean(action) }),
    ...(resource === undefined ? {} : { resource: clean(resource) }),
    ...(detail === undefined
      ? {}
      : { detail: typeof detail === 'string' ? clean(detail) : cleanMembers(detail, clean) }),
  }
}

type Detail = Exclude<NonNullable<ToolCall['detail']>, string>

/** A member that is named like a secret is one, whatever its value looks like. */
function cleanMembers(detail: Detail, clean: (text: string) => string): Detail {
  const members = Object.entries(detail).map(([name, value]) => {
    if (typeof value === 'string') return [clean(name), isSecretName(name) ? '[redacted:value]' : clean(value)] as const
    return [clean(name), typeof value === 'number' && isSecretName(name) ? '[redacted:value]' : value] as const
  })
  return Object.fromEntries(members)
}
