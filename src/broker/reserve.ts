// Decide and reserve under one version check: if what the holders hold changed in between, decide again (I8).
import { BrokerError } from '../core/errors.js'
import type { Approval } from '../ledger/approval.js'
import type { Look, Reservation } from '../ledger/way-out.js'
import type { Pass } from '../providers/breaker.js'
import { boundOf, personsBehind } from './approval-bound.js'
import { ApprovalWanted, askApproval } from './ask-approval.js'
import { type Decided, decide, type World } from './decide.js'
import { enterProvider } from './enter-provider.js'
import type { LeaseRequest } from './lease-request.js'
import { voterTargets } from './lock-targets.js'
import { lookAt, noteDenial } from './look.js'
import { approvalContext, checkNamedApproval, resolveNamedApproval } from './named-approval.js'
import { alreadyIssued, notReserved } from './not-reserved.js'
import type { Caller, Parts } from './parts.js'
import { type Prepared, prepare } from './prepare.js'
import { refuse } from './refusal.js'
import { type ResolvedRequest, resolveRequest } from './resolved-request.js'

export interface Reserved extends Prepared {
  readonly resolved: ResolvedRequest
  readonly decided: Decided
  readonly idempotency: LeaseRequest['idempotency']
  /** The approval that it used up. */
  readonly approval: Approval | null
  /** The rules that it was decided by. */
  readonly rulesHash: string
  /** The ledger's time at the reservation, and our monotonic clock just before: their difference only errs on the safe side. */
  readonly now: number
  readonly sentAt: number
  /** The breaker's permission for the one call that this reservation is for. */
  readonly pass: Pass
}

/** One attempt to reserve: what it saw, what was decided on it, and what is to be written. */
interface Attempt {
  readonly look: Look
  /** The approval that the request names. */
  readonly approval: Approval | null
  readonly decided: Decided
  readonly prepared: Prepared
}

const attempts = 8

/**
 * Throws ApprovalWanted, the refusal, `not_found`, `task_closed`, `already_issued`, `quota`, `rate`, `locked`,
 * `unfillable_recipe`, 503s.
 */
export async function reserveAsDecided(parts: Parts, caller: Caller, request: LeaseRequest): Promise<Reserved> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const look = await lookAt(parts, caller, request.taskId, request.idempotency?.key ?? null)
    if (look.prior) throw await alreadyIssued(parts, look.prior, request)
    if (!look.chainOpen) throw new BrokerError('task_closed', `${request.taskId} has ended`)
    const reserved = await tryReserve(parts, caller, byRulesInForce(parts, request), look)
    if (reserved !== 'version') return reserved
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 5 * 2 ** attempt))
  }
  throw new BrokerError('busy', 'too many requests of this session or account at once; try again', {
    retryAfterSeconds: 1,
  })
}

/** The rules may change while a request is under way: what it asks for is what they, and not those before, make of it. */
function byRulesInForce(parts: Parts, request: LeaseRequest): LeaseRequest {
  const { hash } = parts.rules()
  if (request.rulesHash === hash) return request
  return { ...request, resolved: resolveRequest(parts, request.credential), rulesHash: hash }
}

/** `version`: what it was decided on has changed, so it is to be decided again. */
async function tryReserve(
  parts: Parts,
  caller: Caller,
  request: LeaseRequest,
  look: Look,
): Promise<Reserved | 'version'> {
  const { resolved, idempotency } = request
  const attempt = await decideAndPrepare(parts, caller, request, look)
  // Changed since they decided: once more, then. This program says by which rules it decides on the connection that reserves, so
  // whoever judges live leases by new ones finds all that was reserved by the old.
  if (request.rulesHash !== parts.rules().hash) return 'version'
  const reservation = reservationOf(parts, request, attempt)
  const pass = enterProvider(parts, resolved.provider.name)
  const sentAt = parts.clock.monotonic()
  const answer = await parts.ledger.reserve(reservation).catch((error: unknown) => {
    pass.withdrawn()
    throw error
  })
  const { approval, decided, prepared } = attempt
  if (answer.outcome === 'ok') {
    const { now, expiresAt } = answer
    const toIssue = { ...prepared.toIssue, deadline: expiresAt }
    const { rulesHash } = request
    const reserved = { ...prepared, toIssue, resolved, decided: permitted(decided), idempotency, approval }
    return { ...reserved, rulesHash, now, sentAt, pass }
  }
  pass.withdrawn()
  if (answer.outcome === 'version') return 'version'
  throw await notReserved(parts, caller, request, decided, answer)
}

/** Throws the refusal, `unfillable_recipe`, ApprovalWanted, and what stands against the approval that the request names. */
async function decideAndPrepare(parts: Parts, caller: Caller, request: LeaseRequest, look: Look): Promise<Attempt> {
  const { taskId, approvalId } = request
  const approval = approvalId === null ? null : await resolveNamedApproval(parts, caller, taskId, approvalId)
  const decided = decide(parts, caller, request.resolved, worldOf(parts, look, approval))
  if (decided.verdict.effect === 'deny') {
    await noteDenial(parts, caller, look.holders)
    throw await refuse(parts, caller, look.task.id, decided)
  }
  // Before anybody is asked: what cannot be filled would waste their answer.
  const prepared = prepare(caller, request, look, decided)
  const attempt = { look, approval, decided, prepared }
  await checkAgreed(parts, caller, request.resolved, attempt)
  return attempt
}

/** Throws ApprovalWanted where people have to agree first; where the request names an approval, what `checkNamedApproval` throws. */
async function checkAgreed(
  parts: Parts,
  caller: Caller,
  resolved: ResolvedRequest,
  { look, approval, decided, prepared }: Attempt,
): Promise<void> {
  if (approval === null && decided.verdict.effect !== 'approval_required') return
  const { now, task, ancestors } = look
  const persons = personsBehind(caller, [task, ...ancestors])
  const bound = boundOf(resolved, task, prepared.recipe, decided, persons)
  if (approval !== null) return await checkNamedApproval(parts, caller, approval, { bound, decided, now })
  throw new ApprovalWanted(await askApproval(parts, caller, { task, ancestors, bound, decided }))
}

/** The world as the look gave it, with those who agreed where the request names an approval. */
export function worldOf(parts: Parts, look: Look, approval: Approval | null): World {
  const given = approval === null ? undefined : approvalContext(parts, approval, look.now)
  return {
    now: look.now,
    task: { ...look.task, expiresAt: look.chainExpiresAt },
    holders: look.holders,
    ancestors: look.ancestors,
    ...(given === undefined ? {} : { approval: given }),
  }
}

/** With its approval used up it is a permit, in the answer and in the audit; the verdict keeps what had to be approved. */
function permitted(decided: Decided): Decided {
  return { ...decided, decision: { ...decided.decision, effect: 'permit' } }
}

function reservationOf(
  parts: Parts,
  { resolved, leaseId, idempotency }: LeaseRequest,
  { look, approval, decided, prepared }: Attempt,
): Reservation {
  const { limits } = parts.rules()
  const { verdict, counts } = decided
  return {
    lease: leaseId,
    record: prepared.record,
    holders: look.task.holders,
    versions: look.holders.map((holder) => holder.version),
    counts,
    ttlSeconds: 'ttlSeconds' in verdict ? verdict.ttlSeconds : resolved.ttlSeconds,
    providerTimeoutMs: resolved.provider.timeoutSeconds * 1000,
    idempotency,
    capacity: resolved.provider.capacity?.(prepared.recipe) ?? null,
    limits: {
      task: limits.task.active_leases,
      account: limits.account.active_leases,
      provider: limits.provider.active_leases,
    },
    // Whoever agreed and is locked by now, or whose issuer is, might not have been who it seemed.
    locks: approval === null ? [] : voterTargets(approval.votes),
    ...(approval === null ? {} : { approval: { id: approval.id, answers: approval.answers } }),
  }
}
