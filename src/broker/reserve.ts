// Decide and reserve under one version check: if what the holders hold changed in between, decide again (I8).
import { BrokerError } from '../core/errors.js'
import { equalInConstantTime } from '../core/hash.js'
import type { Approval } from '../ledger/approval.js'
import type { Look, Reservation, ReserveAnswer } from '../ledger/way-out.js'
import type { Pass } from '../providers/breaker.js'
import { boundOf, personsBehind } from './approval-bound.js'
import { ApprovalWanted, askApproval, voterLockNames } from './ask-approval.js'
import { type Asked, resolveAsked } from './asked.js'
import { type Decided, decide, type World } from './decide.js'
import { enterProvider } from './enter-provider.js'
import { lockedBy } from './locked-by.js'
import { lookAt, noteDenial } from './look.js'
import { alreadyUsed, approvalContext, checkNamedApproval, resolveNamedApproval } from './named-approval.js'
import type { Caller, Parts } from './parts.js'
import { type Prepared, prepare } from './prepare.js'
import { recordDecision, refuse } from './refusal.js'
import { leaseView } from './views.js'
import type { Wanted } from './wanted.js'

export interface Reserved extends Prepared {
  readonly asked: Asked
  readonly decided: Decided
  readonly idempotency: Wanted['idempotency']
  /** The approval that it used up. */
  readonly approval: Approval | null
  /** The ledger's time at the reservation, and our monotonic clock just before: their difference only errs on the safe side. */
  readonly now: number
  readonly sentAt: number
  /** The breaker's permission for the one call that this reservation is for. */
  readonly pass: Pass
}

const attempts = 8

/** Throws ApprovalWanted, the refusal, `not_found`, `task_closed`, `already_issued`, `quota`, `rate`, `locked`, `unfillable_recipe`, 503s. */
export async function reserveAsDecided(parts: Parts, caller: Caller, wanted: Wanted): Promise<Reserved> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const look = await lookAt(parts, caller, wanted.taskId, wanted.idempotency?.key ?? null)
    if (look.prior) throw await alreadyIssued(parts, look.prior, wanted)
    if (!look.chainOpen) throw new BrokerError('task_closed', `${wanted.taskId} has ended`)
    const reserved = await tryReserve(parts, caller, byRulesInForce(parts, wanted), look)
    if (reserved !== 'version') return reserved
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 5 * 2 ** attempt))
  }
  throw new BrokerError('busy', 'too many requests of this session or account at once; try again', {
    retryAfterSeconds: 1,
  })
}

/** The rules may change while a request is under way: what it asks for is what they, and not those before, make of it. */
function byRulesInForce(parts: Parts, wanted: Wanted): Wanted {
  const { hash: rules } = parts.rules()
  return wanted.rules === rules ? wanted : { ...wanted, asked: resolveAsked(parts, wanted.request), rules }
}

/** With the lease, so that it can be released: it is the task's own, and so the caller's. */
async function alreadyIssued(
  parts: Parts,
  prior: { lease: string; bodySha256: string },
  wanted: Wanted,
): Promise<BrokerError> {
  if (!equalInConstantTime(prior.bodySha256, wanted.idempotency?.bodySha256 ?? '')) {
    return new BrokerError('idempotency_mismatch', 'this Idempotency-Key was used with another request')
  }
  const lease = await parts.ledger.findLease(prior.lease)
  const detail = `this Idempotency-Key already bought ${prior.lease}; its secret was shown once`
  return new BrokerError('already_issued', detail, {
    members: { lease: lease === null ? { id: prior.lease } : leaseView(lease) },
  })
}

async function tryReserve(parts: Parts, caller: Caller, wanted: Wanted, look: Look): Promise<Reserved | 'version'> {
  const { asked } = wanted
  const approval = await namedApproval(parts, caller, wanted)
  const decided = decide(parts, caller, asked, worldOf(parts, look, approval))
  if (decided.verdict.effect === 'deny') await noteDenial(parts, caller, look.holders)
  if (decided.verdict.effect === 'deny') throw await refuse(parts, caller, look.task.id, decided)
  // Before anybody is asked: what cannot be filled would waste their answer.
  const prepared = prepare(caller, wanted, look, decided)
  await checkAgreed(parts, caller, asked, look, decided, prepared, approval)
  // Changed since they decided: once more, then. This program says by which rules it decides on the connection that reserves, so
  // whoever judges live leases by new ones finds all that was reserved by the old.
  if (wanted.rules !== parts.rules().hash) return 'version'
  const pass = enterProvider(parts, asked.provider.name)
  const sentAt = parts.clock.monotonic()
  try {
    const answer = await parts.ledger.reserve(reservationOf(parts, wanted, look, decided, prepared, approval))
    if (answer.outcome === 'ok') {
      const toIssue = { ...prepared.toIssue, deadline: answer.expiresAt }
      const { idempotency } = wanted
      return {
        asked,
        decided: permitted(decided),
        idempotency,
        approval,
        ...prepared,
        toIssue,
        now: answer.now,
        sentAt,
        pass,
      }
    }
    pass.withdrawn()
    if (answer.outcome === 'version') return 'version'
    if (answer.outcome === 'again') throw await alreadyIssued(parts, answer, wanted)
    if (answer.outcome === 'locked') throw await lockedBy(parts, [answer.target])
    if (answer.outcome === 'approval') throw await notApproved(parts, caller, decided, wanted, answer.state)
    throw notReserved(answer, wanted)
  } catch (error) {
    pass.withdrawn()
    throw error
  }
}

/** Throws ApprovalWanted where people have to agree first, and what `checkNamedApproval` throws where the request names an answer. */
async function checkAgreed(
  parts: Parts,
  caller: Caller,
  asked: Asked,
  { now, task, ancestors }: Look,
  decided: Decided,
  { recipe }: Prepared,
  approval: Approval | null,
): Promise<void> {
  if (approval === null && decided.verdict.effect !== 'approval_required') return
  const bound = boundOf(asked, task, recipe, decided, personsBehind(caller, [task, ...ancestors]))
  if (approval !== null) return await checkNamedApproval(parts, caller, approval, { bound, decided, now })
  throw new ApprovalWanted(await askApproval(parts, caller, task, ancestors, bound, decided))
}

const namedApproval = async (parts: Parts, caller: Caller, { taskId, approvalId }: Wanted) =>
  approvalId === null ? null : await resolveNamedApproval(parts, caller, taskId, approvalId)

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

/** Between our look and the reservation it was used by another repeat, or its time was up. */
async function notApproved(
  parts: Parts,
  caller: Caller,
  decided: Decided,
  { taskId, approvalId }: Wanted,
  state: string,
) {
  const id = approvalId ?? ''
  if (state === 'used') return alreadyUsed(id, (await parts.ledger.findApproval(id))?.lease ?? null)
  await recordDecision(parts, caller, taskId, decided, { approval: id, why: state })
  return new BrokerError('approval_required', `${id} is over: its time was up; ask again without approval_id`)
}

function reservationOf(
  parts: Parts,
  { asked, leaseId, idempotency }: Wanted,
  look: Look,
  { verdict, counts }: Decided,
  prepared: Prepared,
  approval: Approval | null,
): Reservation {
  const { limits } = parts.rules()
  return {
    lease: leaseId,
    record: prepared.record,
    holders: look.task.holders,
    versions: look.holders.map((holder) => holder.version),
    counts,
    ttlSeconds: 'ttlSeconds' in verdict ? verdict.ttlSeconds : asked.ttlSeconds,
    providerTimeoutMs: asked.provider.timeoutSeconds * 1000,
    idempotency,
    capacity: asked.provider.capacity?.(prepared.recipe) ?? null,
    limits: {
      task: limits.task.active_leases,
      account: limits.account.active_leases,
      provider: limits.provider.active_leases,
    },
    // Whoever agreed and is locked by now, or whose issuer is, might not have been who it seemed.
    locks: approval === null ? [] : voterLockNames(approval.votes),
    ...(approval === null ? {} : { approval: { id: approval.id, answers: approval.answers } }),
  }
}

function notReserved(
  answer: Exclude<ReserveAnswer, { outcome: 'ok' | 'version' | 'again' | 'locked' | 'approval' }>,
  wanted: Wanted,
): BrokerError {
  switch (answer.outcome) {
    case 'quota':
      return new BrokerError('quota', `${answer.limit} is reached`, { retryAfterSeconds: answer.retryAfterSeconds })
    case 'closed':
      return new BrokerError('task_closed', `${wanted.taskId} has ended`)
    case 'no_worker':
      return new BrokerError('no_worker', 'no worker has swept for 10 s, so nothing could be revoked', {
        retryAfterSeconds: 5,
      })
    case 'rolled_back':
      return new BrokerError(
        'rolled_back',
        'the ledger is not as this broker left it; see /readyz, and hallpass recover',
        {
          retryAfterSeconds: 5,
        },
      )
    case 'exists':
      return new BrokerError('internal', `${wanted.leaseId} is taken`)
  }
}
