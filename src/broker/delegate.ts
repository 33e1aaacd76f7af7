// A task's owner hands a part of what it may do to somebody: written down first, good once, for a short time.
import type { DelegationRequest } from '../api/delegations.js'
import { toTimestamp } from '../core/clock.js'
import { BrokerError, invalidField } from '../core/errors.js'
import { createId } from '../core/ids.js'
import type { CeilingPair, Delegation, DelegationRecord } from '../ledger/delegation.js'
import type { Task } from '../ledger/task.js'
import { createDelegationToken } from './delegation-token.js'
import { isOutside } from './hops.js'
import { chainTargets } from './lock-targets.js'
import { checkUnlocked } from './locked-by.js'
import type { Caller, Parts } from './parts.js'
import { appendRefusal } from './record-refusal.js'
import { rateExceeded, rateToCount } from './request-rate.js'
import { checkDepth, checkNoCycle } from './take-delegation.js'

export interface Delegated {
  readonly delegation: Delegation
  /** What the sub-agent shows; null where the delegate has an identity of its own. */
  readonly token: string | null
}

/**
 * `task` is the caller's own. Throws `task_closed`, `locked`, `not_permitted` (by a delegation's token; a cycle), `quota`, `rate`,
 * `unknown_action` and `unknown_resource` naming the pair, `denied` (beyond the own ceiling), `audit_unavailable`.
 */
export async function delegate(
  parts: Parts,
  caller: Caller,
  task: Task,
  request: DelegationRequest,
): Promise<Delegated> {
  if (caller.principal.delegation !== undefined) {
    throw new BrokerError('not_permitted', "a delegation's token works in its one task; it hands nothing on")
  }
  checkDelegable(parts, request)
  const chain = [task, ...(await parts.ledger.findTasks(task.chain.slice(1)))]
  // Before anything that its chain would refuse: what has ended hands nothing on, whatever it is asked to hand on.
  if (chain.some(({ state }) => state !== 'open')) throw new BrokerError('task_closed', `${task.id} has ended`)
  // What is handed on while a lock stands would be good once the lock is gone, in somebody else's hands.
  await checkUnlocked(parts, chainTargets(chain))
  checkDepth(parts, chain)
  const ceiling = resolveCeiling(parts, request.ceiling)
  await checkWithin(parts, caller, task, ceiling)
  const { person } = caller.principal
  const record: DelegationRecord = {
    task: task.id,
    chain: task.chain,
    ceiling,
    delegate: delegateOf(request, chain),
    ...(person === null ? {} : { person }),
  }
  const delegation = await write(parts, caller, record, request.ttl_seconds)
  await recordCreated(parts, caller, delegation)
  const token = 'agent' in record.delegate ? await createDelegationToken(parts, delegation) : null
  return { delegation, token }
}

/** Exact pairs, each of which could be asked for; the same one twice counts once. Throws naming the field. */
export function resolveCeiling(parts: Parts, pairs: DelegationRequest['ceiling']): CeilingPair[] {
  const { catalogue } = parts.rules()
  const ceiling = new Map<string, CeilingPair>()
  for (const [i, { action, resource }] of pairs.entries()) {
    const grant = within(`ceiling.${i}.action`, () => catalogue.resolveGrant(action))
    within(`ceiling.${i}.resource`, () => catalogue.resolveResource(resource, grant))
    ceiling.set(`${action} ${resource}`, [action, resource])
  }
  return [...ceiling.values()]
}

function within<T>(field: string, resolve: () => T): T {
  try {
    return resolve()
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    throw new BrokerError(error.code, `${field}: ${error.detail}`, {
      errors: [{ field, message: error.detail }],
    })
  }
}

/** It would be refused at each request: said now, when somebody can still do something about it. */
async function checkWithin(parts: Parts, caller: Caller, task: Task, ceiling: readonly CeilingPair[]): Promise<void> {
  const own = task.ceiling
  const wider = own === undefined ? undefined : ceiling.find(([action, on]) => isOutside([own], action, on))
  if (wider === undefined) return
  const detail = `${wider[0]} on ${wider[1]} is outside what ${task.id} was handed itself`
  await appendRefusal(parts, caller, {
    task: task.id,
    code: 'denied',
    reason: 'outside_ceiling',
    detail,
  })
  throw new BrokerError('denied', detail, { members: { reason: 'outside_ceiling' } })
}

/**
 * What is wrong with a request whatever task it is of. A wrong issuer's name would only be found out by the delegate, with a 404
 * that says nothing. Throws `invalid_request`, then what `resolveCeiling` throws.
 */
export function checkDelegable(parts: Parts, { delegate: named, ceiling }: DelegationRequest): void {
  if (named && !parts.rules().isWorkloadIssuer(named.issuer)) {
    throw invalidField('delegate.issuer', `no issuer of workloads is called ${named.issuer} in the configuration`)
  }
  resolveCeiling(parts, ceiling)
}

function delegateOf(
  { delegate: named, agent }: DelegationRequest,
  chain: readonly Task[],
): DelegationRecord['delegate'] {
  if (agent !== undefined) return { agent }
  if (named === undefined) throw invalidField('delegate', 'expected a delegate or an agent')
  const { issuer, subject, instance } = named
  const id = `${issuer}:${subject}`
  // Which run of it comes is often known only then: what is certain is refused now, the rest when it opens its task.
  checkNoCycle(chain, { id, instance: instance ?? null })
  return instance === undefined ? { issuer, subject } : { issuer, subject, instance }
}

async function write(parts: Parts, caller: Caller, record: DelegationRecord, ttlSeconds: number): Promise<Delegation> {
  const id = createId('dlg', parts.clock.now())
  const rate = rateToCount(parts, caller)
  const answer = await parts.ledger.createDelegation({ id, record, ttlSeconds, rate })
  switch (answer.outcome) {
    case 'ok':
      return { id, record, expiresAt: answer.expiresAt, opened: null }
    case 'closed':
      throw new BrokerError('task_closed', `${record.task} has ended`)
    case 'quota':
      throw new BrokerError('quota', '100 delegations of this task wait to be used', { retryAfterSeconds: 60 })
    case 'rate':
      throw rateExceeded(answer.retryAfterSeconds)
  }
}

/** On disk before anybody is told its id: without the record it is good for nothing. All that recovery needs. */
async function recordCreated(parts: Parts, caller: Caller, { id, record, expiresAt }: Delegation): Promise<void> {
  await parts.audit.append({
    event: 'delegation.created',
    principal: caller.principal.id,
    account: caller.principal.account,
    task: record.task,
    request_id: caller.requestId,
    token_sha256: caller.principal.tokenSha256,
    delegation: id,
    chain: record.chain,
    ceiling: record.ceiling,
    delegate: { ...record.delegate },
    ...(record.person === undefined ? {} : { person: record.person }),
    expires_at: toTimestamp(expiresAt),
  })
}
