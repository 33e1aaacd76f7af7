// What an identity may do with one task or lease: its own, or what an operator's policy permits on the resource concerned.
import type { Caller, Parts } from '../broker/parts.js'
import { appendRefusal } from '../broker/record-refusal.js'
import { isOwn, notFound, recordForeign } from '../broker/task-access.js'
import { verifyTaskToken } from '../broker/task-token.js'
import { BrokerError } from '../core/errors.js'
import { equalInConstantTime } from '../core/hash.js'
import type { Lease } from '../ledger/lease.js'
import type { Task } from '../ledger/task.js'
import { type Concerned, concernedBy, concernedByTarget } from './concerned.js'
import type { Identity } from './route.js'

/** The caller as the stories take it. Routes that reach this have authenticated a principal. */
export function callerOf(identity: Identity): Caller {
  if (identity.kind !== 'principal') throw new BrokerError('invalid_token', 'this call takes a subject token')
  const { principal, requestId, rate } = identity
  return { principal, requestId, rate }
}

/** Who acted, for the audit. */
export function actorOf(identity: Identity): string {
  if (identity.kind === 'principal') return identity.principal.id
  return identity.kind === 'task' ? `task-token:${identity.task}` : 'nobody'
}

/** The task when the identity may have it; `not_found` otherwise, the same for unknown and for another's. */
export async function resolveOwnTask(parts: Parts, identity: Identity, id: string): Promise<Task> {
  const task = await parts.ledger.findTask(id)
  if (identity.kind === 'task') {
    if (task && identity.task === id) return task
    throw notFound('task')
  }
  const caller = callerOf(identity)
  if (task && isOwn(task, caller.principal)) {
    await checkTaskToken(parts, identity, id)
    return task
  }
  if (task && caller.principal.use === 'operator' && (await mayViewTask(parts, caller, id))) return task
  if (task) await recordForeign(parts, caller, task, { task: id })
  throw notFound('task')
}

/** All of the Broker, or every resource that the task and those below it have leases on. */
export async function mayViewTask(parts: Parts, caller: Caller, id: string): Promise<boolean> {
  if (operatorMay(parts, caller, 'operate.view', null)) return true
  const concerned = await concernedByTarget(parts, { task: id })
  return concerned.every((one) => one !== null && operatorMay(parts, caller, 'operate.view', one))
}

/** The lease when the identity may have it; as above. An operator is judged on the lease's resource. */
export async function resolveOwnLease(parts: Parts, identity: Identity, id: string): Promise<Lease> {
  const lease = await parts.ledger.findLease(id)
  if (!lease) throw notFound('lease')
  if (identity.kind === 'task') {
    if (await mayStillSee(parts, identity.task, lease)) return lease
    throw notFound('lease')
  }
  const caller = callerOf(identity)
  const task = await parts.ledger.findTask(lease.record.task)
  if (task && isOwn(task, caller.principal)) {
    await checkTaskToken(parts, identity, task.id)
    return lease
  }
  if (caller.principal.use === 'operator' && operatorMay(parts, caller, 'operate.view', concernedBy(lease)))
    return lease
  await recordForeign(parts, caller, task, { lease: id })
  throw notFound('lease')
}

/** While its task is open a task token reaches all below it, to shrink it; afterwards what was the task's own, until it ends. */
async function mayStillSee(parts: Parts, named: string, { record }: Lease): Promise<boolean> {
  if (record.task === named) return true
  return record.chain.includes(named) && (await parts.ledger.findTask(named))?.state === 'open'
}

/** Where the issuer says `task_token: required`, every call on a task also carries its task token; wrong is the same 404. */
export async function checkTaskToken(parts: Parts, identity: Identity, task: string): Promise<void> {
  if (identity.kind !== 'principal' || !parts.rules().taskTokenRequired(identity.principal.issuer)) return
  const named = identity.taskToken === null ? null : await verifyTaskToken(parts, identity.taskToken).catch(() => null)
  if (named !== null && equalInConstantTime(named, task)) return
  await recordForeign(parts, callerOf(identity), null, { task })
  throw notFound('task')
}

type OperateAction =
  | 'operate.view'
  | 'operate.revoke'
  | 'operate.lock'
  | 'operate.unlock'
  | 'operate.approve'
  | 'operate.retry'
  | 'operate.abandon'
  | 'operate.simulate'
  | 'operate.audit'

/** Whether the policies let this operator do it: on the resource concerned, or on the Broker, which covers all. */
export function operatorMay(parts: Parts, caller: Caller, action: OperateAction, concerned: Concerned | null): boolean {
  const { policy, catalogue } = parts.rules()
  if (policy.permitsOperator(caller.principal, action, 'broker', {}).permit) return true
  if (concerned === null) return false
  const { resource: id, ...context } = concerned
  const resource = catalogue.findResource(id)
  return resource !== undefined && policy.permitsOperator(caller.principal, action, resource, context).permit
}

/** Throws `not_permitted`, written to the audit: each refusal of an operator is a record. Past the account's rate `rate`. */
export async function checkOperator(
  parts: Parts,
  caller: Caller,
  action: OperateAction,
  concerned: Concerned | null,
): Promise<void> {
  if (operatorMay(parts, caller, action, concerned)) return
  await appendRefusal(parts, caller, {
    actor: caller.principal.id,
    action,
    resource: concerned?.resource ?? 'broker',
  })
  throw new BrokerError('not_permitted', `no policy permits ${action} for ${caller.principal.id} here`)
}

/** An operator who may do this to nothing at all is told so. */
export async function checkOperatorSeesAny(
  parts: Parts,
  caller: Caller,
  action: 'operate.view' | 'operate.audit' = 'operate.view',
): Promise<void> {
  if (!operatorMayAny(parts, caller, action)) await checkOperator(parts, caller, action, null)
}

/** Whether the policies let this operator do it to some resource, or to the Broker. */
export function operatorMayAny(parts: Parts, caller: Caller, action: OperateAction): boolean {
  const { catalogue, policy } = parts.rules()
  const some = catalogue.resources.some((entry) => {
    const resource = { id: entry.pattern, type: entry.type, attributes: entry.attributes }
    return policy.permitsOperator(caller.principal, action, resource, {}).permit
  })
  return some || operatorMay(parts, caller, action, null)
}
