// A task: the frame that every credential lives in. With credentials asked for at once: all decided, then all minted.
import type { CredentialRequest } from '../api/credentials.js'
import type { OpenTaskRequest } from '../api/tasks.js'
import { BrokerError } from '../core/errors.js'
import { fillRecipe } from '../grants/recipe.js'
import type { Approval } from '../ledger/approval.js'
import type { Task } from '../ledger/task.js'
import type { JsonObject } from '../providers/provider.js'
import { boundOf, personsBehind } from './approval-bound.js'
import { approvalTimeoutOf, askApproval } from './ask-approval.js'
import { type Asked, resolveEach } from './asked.js'
import { type Decided, decide } from './decide.js'
import { draftTask } from './draft-task.js'
import { endTask } from './end-task.js'
import { checkAnswering } from './enter-provider.js'
import { type Exchanged, exchange } from './exchange.js'
import { withHeld } from './holders.js'
import { noteDenial } from './look.js'
import { resolveNamedApproval } from './named-approval.js'
import type { Caller, Parts } from './parts.js'
import { recordOpened } from './record-opened.js'
import { refusalOf, refuse } from './refusal.js'
import { checkNotRepeated, repeatedOpening } from './repeated-opening.js'
import { asOneRequest, countRequest, rateExceeded, rateToCount } from './request-rate.js'
import { takeDelegation } from './take-delegation.js'
import { isOwn, notFound } from './task-access.js'
import { createTaskToken } from './task-token.js'
import { decisionView } from './views.js'
import type { Idempotency } from './wanted.js'

export interface OpenedTask {
  readonly task: Task
  readonly taskToken: string
  readonly credentials: readonly Exchanged[]
  /** What people have to agree to first, one per credential that wants it; then nothing was minted. */
  readonly approvals: readonly Approval[]
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
  const wanted = resolveEach(parts, request.credentials ?? [])
  for (const { credential } of wanted) await checkNoApproval(parts, caller, credential)
  await checkNotRepeated(parts, caller, idempotency, wanted.length)
  const parent = await takeDelegation(parts, caller, request.delegation)
  const draft = draftTask(parts, caller, request, parent)
  const decided = await decideAll(parts, caller, draft, wanted, parent?.chain ?? [])
  fillAll(draft, wanted)
  for (const { asked } of wanted) checkAnswering(parts, asked.provider.name)
  const { task, isNew } = await writeTask(parts, caller, draft, request, wanted, idempotency, decided)
  try {
    const approvals = await askAll(parts, caller, task, wanted, decided, parent?.chain ?? [])
    const credentials: Exchanged[] = []
    for (const { credential } of approvals.length > 0 ? [] : wanted)
      credentials.push(await exchange(parts, caller, task.id, credential, null))
    // Who waits for people may be another process by the time they have answered: the first beat is waited for so long.
    if (request.heartbeat_seconds !== undefined && approvals.length === 0) await parts.ledger.beat(task.id)
    return { task, taskToken: await createTaskToken(parts, task), credentials, approvals }
  } catch (error) {
    if (!isNew) throw error
    // The caller is told why it has no credentials; should the end fail too, the task is still due.
    await endTask(parts, task.id, 'failed', 'broker', caller.requestId).catch((ending: unknown) =>
      parts.log.warn({ err: ending, task: task.id }, 'a task that was not opened whole waits for the sweeper'),
    )
    throw error
  }
}

/** An approval is for one task, and there is none yet: 404 as for another task's, and on record. */
async function checkNoApproval(parts: Parts, caller: Caller, { approval_id }: CredentialRequest): Promise<void> {
  if (approval_id) await resolveNamedApproval(parts, caller, null, approval_id)
}

/** What cannot be filled is the caller's to know before what the provider's state is, and before there is a task. */
function fillAll(task: Task, wanted: readonly { asked: Asked }[]): JsonObject[] {
  return wanted.map(({ asked }) => {
    const { grant, resource, declared } = asked
    return fillRecipe(grant.recipe, { resource, declared, task: { id: task.id } })
  })
}

const isToBeApproved = ({ verdict }: Decided) => verdict.effect === 'approval_required'

/** Asks for the approvals that are wanted, in the task that was opened for them. */
async function askAll(
  parts: Parts,
  caller: Caller,
  task: Task,
  wanted: readonly { asked: Asked }[],
  decided: readonly Decided[],
  ancestors: readonly Task[],
): Promise<Approval[]> {
  // Of the task that is there, which of an opening that is repeated is not the draft.
  const recipes = fillAll(task, wanted)
  const approvals: Approval[] = []
  for (const [i, { asked }] of wanted.entries()) {
    const [one, recipe] = [decided[i], recipes[i]]
    if (one?.verdict.effect !== 'approval_required' || recipe === undefined) continue
    const bound = boundOf(asked, task, recipe, one, personsBehind(caller, [task, ...ancestors]))
    approvals.push(await askApproval(parts, caller, task, ancestors, bound, one))
  }
  return approvals
}

/**
 * Decides every credential as if those before it were held. Any denial → 403 with all `decisions`, and no task; a plan's
 * (`isPlan`) is not counted against whoever made it.
 */
export async function decideAll(
  parts: Parts,
  caller: Caller,
  draft: Task,
  wanted: readonly { credential: CredentialRequest; asked: Asked }[],
  ancestors: readonly Task[],
  isPlan = false,
): Promise<readonly Decided[]> {
  if (wanted.length === 0) return []
  // Before anything is decided: whoever is denied opens no task, and would be counted nowhere else.
  await countRequest(parts, caller)
  const look = await parts.ledger.lookHolders(draft.holders)
  let holders = look.holders
  const decided: Decided[] = []
  for (const [i, { asked }] of wanted.entries()) {
    const task = {
      openedAt: look.now,
      expiresAt: look.now + (draft.expiresAt - draft.openedAt),
      depth: draft.depth,
      activeLeases: i,
      ...(draft.ceiling === undefined ? {} : { ceiling: draft.ceiling }),
    }
    const one = decide(parts, caller, asked, { now: look.now, task, holders, ancestors })
    decided.push(one)
    holders = withHeld(holders, { ...asked.grant, resource: asked.resource, ttlSeconds: one.rememberedTtlSeconds })
  }
  // A denial says more than a missing approval: nothing an approver could do would help, so nobody is asked.
  const first = decided.find((one) => one.verdict.effect === 'deny')
  if (!first) return decided
  const refused = decided.filter((one) => one.verdict.effect !== 'permit')
  await Promise.all(refused.map((one) => refuse(parts, caller, null, one, isPlan ? { dry_run: true } : {})))
  if (!isPlan) await noteDenial(parts, caller, draft.holders)
  const { code, detail, members } = refusalOf(first, first.input)
  throw new BrokerError(code, detail, {
    members: { ...members, decisions: decided.map((one) => decisionView(one.decision)) },
  })
}

/**
 * The first one may take as much longer as the providers may take to mint what is asked for at once, or people to agree to it:
 * until then there is nothing that an abandoned task could hold.
 */
function heartbeatOf(
  { heartbeat_seconds }: OpenTaskRequest,
  wanted: readonly { asked: Asked }[],
  decided: readonly Decided[],
) {
  if (heartbeat_seconds === undefined) return undefined
  const everyMs = heartbeat_seconds * 1000
  const mintingMs = wanted.reduce((sum, { asked }) => sum + asked.provider.timeoutSeconds * 1000, 0)
  const waiting = decided.filter(({ verdict }) => verdict.effect === 'approval_required')
  const waitingMs = Math.max(0, ...waiting.map((one) => approvalTimeoutOf(one) * 1000))
  return { everyMs, firstMs: everyMs + mintingMs + waitingMs }
}

async function writeTask(
  parts: Parts,
  caller: Caller,
  draft: Task,
  request: OpenTaskRequest,
  wanted: readonly { asked: Asked }[],
  idempotency: Idempotency | null,
  decided: readonly Decided[],
): Promise<{ task: Task; isNew: boolean }> {
  const { limits } = parts.rules()
  const answer = await parts.ledger.openTask({
    task: draft,
    ttlSeconds: (draft.expiresAt - draft.openedAt) / 1000,
    openTasksLimit: limits.account.open_tasks,
    heartbeat: heartbeatOf(request, wanted, decided),
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

function notOpened(
  answer: Exclude<Awaited<ReturnType<Parts['ledger']['openTask']>>, { outcome: 'ok' }>,
  idempotency: Idempotency | null,
) {
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
  if (answer.outcome === 'rolled_back') {
    const detail = 'the ledger is not as this broker left it; see /readyz, and hallpass recover'
    return new BrokerError('rolled_back', detail, { retryAfterSeconds })
  }
  return new BrokerError('quota', 'limits.account.open_tasks is reached for this account', { retryAfterSeconds })
}
