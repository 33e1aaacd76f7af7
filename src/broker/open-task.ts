// A task: the frame that every credential lives in. With credentials asked for at once: all decided, then all minted.
import type { CredentialRequest } from '../api/credentials.js'
import type { OpenTaskRequest } from '../api/tasks.js'
import { BrokerError } from '../core/errors.js'
import { fillRecipe } from '../grants/recipe.js'
import type { Approval } from '../ledger/approval.js'
import type { Task } from '../ledger/task.js'
import { rolledBack } from '../ledger/unavailable.js'
import type { OpenTaskAnswer } from '../ledger/way-out.js'
import type { JsonObject } from '../providers/provider.js'
import { boundOf, personsBehind } from './approval-bound.js'
import { approvalTimeoutOf, askApproval } from './ask-approval.js'
import type { Decided } from './decide.js'
import { decideAll, type PlannedTask } from './decide-all.js'
import { draftTask } from './draft-task.js'
import { endTask } from './end-task.js'
import { checkAnswering } from './enter-provider.js'
import { type Exchanged, exchange } from './exchange.js'
import type { Idempotency } from './idempotency.js'
import { resolveNamedApproval } from './named-approval.js'
import type { Caller, Parts } from './parts.js'
import { recordOpened } from './record-opened.js'
import { checkNotRepeated, repeatedOpening } from './repeated-opening.js'
import { asOneRequest, rateExceeded, rateToCount } from './request-rate.js'
import { type RequestedCredential, resolveRequests } from './resolved-request.js'
import { takeDelegation } from './take-delegation.js'
import { isOwn, notFound } from './task-access.js'
import { createTaskToken } from './task-token.js'

export interface OpenedTask {
  readonly task: Task
  readonly taskToken: string
  readonly credentials: readonly Exchanged[]
  /** What people have to agree to first, one per credential that wants it; then nothing was minted. */
  readonly approvals: readonly Approval[]
}

/** A task that is permitted and not written yet. */
interface Opening extends PlannedTask {
  readonly request: OpenTaskRequest
  readonly idempotency: Idempotency | null
  /** One decision per requested credential. */
  readonly decided: readonly Decided[]
}

/**
 * Opens a task for the caller's principal and instance. Throws 400, 404, 403 (with `decisions`: no task then), 409, 429, 5xx;
 * a mint that fails ends the task and what was minted for it before.
 */
export async function openTask(
  parts: Parts,
  called: Caller,
  request: OpenTaskRequest,
  idempotency: Idempotency | null,
): Promise<OpenedTask> {
  // One request, however many credentials it asks for.
  const caller = asOneRequest(called)
  const opening = await decideOpening(parts, caller, request, idempotency)
  const { task, isNew } = await writeTask(parts, caller, opening)
  try {
    const approvals = await askAll(parts, caller, task, opening)
    const credentials = approvals.length > 0 ? [] : await exchangeAll(parts, caller, task, opening.requested)
    // Who waits for people may be another process by the time they have answered: the first beat is waited for so long.
    if (request.heartbeat_seconds !== undefined && approvals.length === 0) await parts.ledger.beat(task.id)
    return { task, taskToken: await createTaskToken(parts, task), credentials, approvals }
  } catch (error) {
    if (!isNew) throw error
    // The caller is told why it has no credentials; should the end fail too, the task is still due.
    const ending = { outcome: 'failed', actor: 'broker', requestId: caller.requestId }
    await endTask(parts, task.id, ending).catch((failure: unknown) =>
      parts.log.warn({ err: failure, task: task.id }, 'a task that was not opened whole waits for the sweeper'),
    )
    throw error
  }
}

/** Everything that can be refused before there is a task: what is asked for, a repeat, the chain, the decisions, the providers. */
async function decideOpening(
  parts: Parts,
  caller: Caller,
  request: OpenTaskRequest,
  idempotency: Idempotency | null,
): Promise<Opening> {
  const requested = resolveRequests(parts, request.credentials ?? [])
  for (const { credential } of requested) await checkNoApproval(parts, caller, credential)
  await checkNotRepeated(parts, caller, idempotency, requested.length)
  const taken = await takeDelegation(parts, caller, request.delegation)
  const draft = draftTask(parts, caller, request, taken)
  const planned = { draft, ancestors: taken?.chain ?? [], requested }
  const decided = await decideAll(parts, caller, planned, { countsDenials: true })
  // What cannot be filled is the caller's to know before what the provider's state is.
  fillAll(draft, requested)
  for (const { resolved } of requested) checkAnswering(parts, resolved.provider.name)
  return { ...planned, request, idempotency, decided }
}

/** An approval is for one task, and there is none yet: 404 as for another task's, and on record. */
async function checkNoApproval(parts: Parts, caller: Caller, { approval_id }: CredentialRequest): Promise<void> {
  if (approval_id) await resolveNamedApproval(parts, caller, null, approval_id)
}

/** The recipes of all, filled for this task. Throws `unfillable_recipe` (422). */
function fillAll(task: Task, requested: readonly RequestedCredential[]): JsonObject[] {
  return requested.map(({ resolved: { grant, resource, declared } }) =>
    fillRecipe(grant.recipe, { resource, declared, task: { id: task.id } }),
  )
}

const isToBeApproved = ({ verdict }: Decided) => verdict.effect === 'approval_required'

/** Asks for the approvals that are wanted, in the task that was opened for them. */
async function askAll(
  parts: Parts,
  caller: Caller,
  task: Task,
  { requested, decided, ancestors }: Opening,
): Promise<Approval[]> {
  // Of the task that is there, which of an opening that is repeated is not the draft.
  const recipes = fillAll(task, requested)
  const persons = personsBehind(caller, [task, ...ancestors])
  const approvals: Approval[] = []
  for (const [i, { resolved }] of requested.entries()) {
    const [one, recipe] = [decided[i], recipes[i]]
    if (one === undefined || !isToBeApproved(one) || recipe === undefined) continue
    const bound = boundOf(resolved, task, recipe, one, persons)
    approvals.push(await askApproval(parts, caller, { task, ancestors, bound, decided: one }))
  }
  return approvals
}

/** One after the other: each is decided again on what those before it left. */
async function exchangeAll(
  parts: Parts,
  caller: Caller,
  task: Task,
  requested: readonly RequestedCredential[],
): Promise<Exchanged[]> {
  const credentials: Exchanged[] = []
  for (const { credential } of requested) credentials.push(await exchange(parts, caller, task.id, credential, null))
  return credentials
}

/**
 * The first one may take as much longer as the providers may take to mint what is asked for at once, or people to agree to it:
 * until then there is nothing that an abandoned task could hold.
 */
function heartbeatOf({ request: { heartbeat_seconds }, requested, decided }: Opening) {
  if (heartbeat_seconds === undefined) return undefined
  const everyMs = heartbeat_seconds * 1000
  const mintingMs = requested.reduce((sum, { resolved }) => sum + resolved.provider.timeoutSeconds * 1000, 0)
  const waitingMs = Math.max(0, ...decided.filter(isToBeApproved).map((one) => approvalTimeoutOf(one) * 1000))
  return { everyMs, firstMs: everyMs + mintingMs + waitingMs }
}

/** In the ledger, then on disk. `isNew`: false for an opening that was repeated while people are asked. */
async function writeTask(parts: Parts, caller: Caller, opening: Opening): Promise<{ task: Task; isNew: boolean }> {
  const { draft, request, idempotency, decided } = opening
  const { limits } = parts.rules()
  const answer = await parts.ledger.openTask({
    task: draft,
    ttlSeconds: (draft.expiresAt - draft.openedAt) / 1000,
    openTasksLimit: limits.account.open_tasks,
    heartbeat: heartbeatOf(opening),
    ratePerMinute: rateToCount(parts, caller)?.perMinute ?? null,
    idempotency,
  })
  if (answer.outcome === 'again' && answer.bodySha256 === idempotency?.bodySha256) {
    // Whoever opened it may have died before this was written, and the caller is about to be told of it and use it. A second
    // `task.opened` is legal: readers take the first.
    const found = await parts.ledger.findTask(answer.task)
    // Others of the account, and other jobs of the same run, share its keys, but not its tasks.
    const opened = found !== null && isOwn(found, caller.principal) ? found : null
    if (opened) await recordOpened(parts, caller, opened, request, idempotency)
    // A 202 does not use the key up: whoever repeats it gets the same task, and the same approvals to wait for.
    if (opened?.state === 'open' && decided.some(isToBeApproved)) return { task: opened, isNew: false }
  }
  if (answer.outcome !== 'ok') throw notOpened(answer, idempotency)
  const { task } = answer
  try {
    await recordOpened(parts, caller, task, request, idempotency)
  } catch (error) {
    await parts.ledger.endTask(task.id, 'failed')
    throw error
  }
  return { task, isNew: true }
}

/** Why there is no task: the ledger's answer → the error that the caller gets. */
function notOpened(answer: Exclude<OpenTaskAnswer, { outcome: 'ok' }>, idempotency: Idempotency | null): BrokerError {
  if (answer.outcome === 'again') return repeatedOpening(answer, idempotency)
  switch (answer.outcome) {
    case 'closed':
      return new BrokerError('task_closed', 'the task that this delegation is of has ended')
    case 'no_delegation':
      return notFound('delegation')
    case 'opened':
      return new BrokerError('already_issued', `this delegation already opened ${answer.task}`, {
        members: { task: { id: answer.task } },
      })
  }
  const { retryAfterSeconds } = answer
  if (answer.outcome === 'rate') return rateExceeded(retryAfterSeconds)
  if (answer.outcome === 'rolled_back') return rolledBack(retryAfterSeconds)
  return new BrokerError('quota', 'limits.account.open_tasks is reached for this account', { retryAfterSeconds })
}
