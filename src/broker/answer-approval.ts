// An operator answers an approval. Agreeing lets credentials out, so it is on disk before it counts; denying holds at once.
import { BrokerError, invalidField } from '../core/errors.js'
import type { Principal } from '../identity/principal.js'
import { type Approval, type ApprovalVote, personKey, stateAt } from '../ledger/approval.js'
import type { AnswerAnswer, AnswerApproval } from '../ledger/approval-ledger.js'
import { denialKeys } from './approval-bound.js'
import { announce, answeredRecord } from './approval-records.js'
import { groupsAmong, isAgreed, isOwnHuman, permitsApproving } from './approvers.js'
import { approvalTargets, voterTargets } from './lock-targets.js'
import { checkUnlocked, lockedBy } from './locked-by.js'
import type { Caller, Parts } from './parts.js'
import { appendRefusal } from './record-refusal.js'
import { notFound } from './task-access.js'

const attempts = 8

/** `version`: of answers at the same time one was counted, and this one has to look again. */
type Tried = 'counted' | 'version'

/**
 * Counts the answer and returns the approval with it; the same answer of the same person again changes nothing, unless it is
 * enough by now. Throws `not_permitted` (audited) for whoever may not approve this, `locked`, `invalid_request` for an answer
 * that comes too late, `not_found`, `audit_unavailable` (a denial holds all the same), `busy` after too many tries.
 */
export async function answerApproval(
  parts: Parts,
  caller: Caller,
  found: Approval,
  answer: { vote: 'approve' | 'deny'; reason: string },
): Promise<Approval> {
  await checkApprover(parts, caller, found)
  try {
    return await countAnswer(parts, caller, found, voteOf(parts, caller.principal, answer))
  } catch (error) {
    if (error instanceof BrokerError && (error.code === 'invalid_request' || error.code === 'locked')) {
      await recordRefusedAnswer(parts, caller, found, error.code, error.detail)
    }
    throw error
  }
}

async function countAnswer(parts: Parts, caller: Caller, found: Approval, vote: ApprovalVote): Promise<Approval> {
  let approval = found
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (isSameAgain(parts, approval, vote)) return approval
    const state = stateAt(approval, parts.clock.now())
    if (state !== 'pending') throw tooLate(approval.id, state)
    if ((await tryAnswer(parts, caller, approval, vote)) !== 'version') {
      const answered = await resolve(parts, approval.id)
      announce(parts, 'answered', answered)
      return answered
    }
    approval = await resolve(parts, approval.id)
  }
  throw new BrokerError('busy', 'too many answers at once; try again', { retryAfterSeconds: 1 })
}

/** Whether the same person has said the same; what is enough by now, since who counts has changed, is said anew. */
function isSameAgain(parts: Parts, approval: Approval, vote: ApprovalVote): boolean {
  const key = personKey(vote)
  if (!approval.votes.some((one) => personKey(one) === key && one.vote === vote.vote)) return false
  return approval.state !== 'pending' || !isAgreed(parts, approval, [...approval.votes, vote])
}

async function resolve(parts: Parts, id: string): Promise<Approval> {
  const approval = await parts.ledger.findApproval(id)
  if (approval === null) throw notFound('approval')
  return approval
}

/** Throws `not_permitted`, written to the audit with the reason. */
async function checkApprover(parts: Parts, caller: Caller, approval: Approval): Promise<void> {
  const { principal } = caller
  const why = () => {
    if (!permitsApproving(parts, principal, approval)) return 'no policy permits operate.approve on it'
    if (isOwnHuman(approval, principal)) return 'it is their own request'
    if (groupsAmong(parts, approval, { ...principal, by: principal.id }).length > 0) return null
    const groups = approval.record.bound.requirements.map(({ group }) => group)
    return `they are not in ${groups.join(' or ')}`
  }
  const refused = why()
  if (refused === null) return
  await recordRefusedAnswer(parts, caller, approval, 'not_permitted', refused)
  throw new BrokerError('not_permitted', `${principal.id} may not answer ${approval.id}: ${refused}`)
}

async function recordRefusedAnswer(parts: Parts, caller: Caller, approval: Approval, code: string, reason: string) {
  await appendRefusal(parts, caller, {
    actor: caller.principal.id,
    action: 'operate.approve',
    resource: approval.record.bound.resource.id,
    task: approval.record.bound.task,
    approval: approval.id,
    code,
    reason,
  })
}

function voteOf(
  parts: Parts,
  { id, person, issuer, subject, attributes }: Principal,
  { vote, reason }: { vote: 'approve' | 'deny'; reason: string },
): ApprovalVote {
  return { by: id, person, issuer, subject, attributes, vote, reason, at: parts.clock.now() }
}

const tryAnswer = (parts: Parts, caller: Caller, approval: Approval, vote: ApprovalVote) =>
  vote.vote === 'deny' ? tryDenial(parts, caller, approval, vote) : tryAgreement(parts, caller, approval, vote)

/** It holds at once, whether or not it can be written down. */
async function tryDenial(parts: Parts, caller: Caller, approval: Approval, vote: ApprovalVote): Promise<Tried> {
  const cooldownSeconds = parts.rules().limits.account.approval_cooldown
  const locks = await locksOn(parts, approval, vote)
  const answer = await parts.ledger.answerApproval(countedAs('denied', approval, vote, { locks, cooldownSeconds }))
  if (answer.outcome === 'ok') {
    await parts.audit.append(answeredRecord(approval, vote, caller.requestId, { state: 'denied', cooldownSeconds }))
  }
  return await triedAs(parts, approval, answer)
}

/** Written down before it counts: what it lets out can be traced to whoever agreed. */
async function tryAgreement(parts: Parts, caller: Caller, approval: Approval, vote: ApprovalVote): Promise<Tried> {
  const cooldownSeconds = parts.rules().limits.account.approval_cooldown
  const state = isAgreed(parts, approval, [...approval.votes, vote]) ? 'approved' : 'pending'
  const locks = await locksOn(parts, approval, vote)
  await checkUnlocked(parts, locks)
  await parts.audit.append(answeredRecord(approval, vote, caller.requestId, { state }))
  const answer = await parts.ledger.answerApproval(countedAs(state, approval, vote, { locks, cooldownSeconds }))
  // The answer on record did not count: a ledger rebuilt from the audit must not count it either.
  if (answer.outcome !== 'ok' && answer.outcome !== 'again') {
    await parts.audit.append(answeredRecord(approval, vote, caller.requestId, { state: approval.state, isVoid: true }))
  }
  return await triedAs(parts, approval, answer)
}

async function locksOn(parts: Parts, { record }: Approval, vote: ApprovalVote): Promise<string[]> {
  const { bound, account } = record
  const above = await parts.ledger.findTasks(bound.chain.slice(1))
  return [...approvalTargets(bound, [{ principal: bound.principal, account }, ...above]), ...voterTargets([vote])]
}

/** What the ledger is asked to count: this vote, on the answers that were seen. */
function countedAs(
  state: AnswerApproval['state'],
  { id, answers, record }: Approval,
  vote: ApprovalVote,
  { locks, cooldownSeconds }: { locks: readonly string[]; cooldownSeconds: number },
): AnswerApproval {
  const keys = denialKeys(record.account, record.bound)
  return { id, answers, person: personKey(vote), vote, state, locks, ...keys, cooldownMs: cooldownSeconds * 1000 }
}

/** Throws what no further try would change. */
async function triedAs(parts: Parts, { id }: Approval, answer: AnswerAnswer): Promise<Tried> {
  switch (answer.outcome) {
    case 'ok':
    case 'again':
      return 'counted'
    case 'version':
      return 'version'
    case 'late':
      throw tooLate(id, answer.state)
    case 'locked':
      throw await lockedBy(parts, [answer.target])
    case 'not_found':
      throw notFound('approval')
  }
}

/** Time and denial are final: a late answer never counts. */
const tooLate = (id: string, state: string) =>
  invalidField('state', `${id} is ${state}; expected one that is pending, and late answers do not count`)
