// What the audit says of a task that was opened.
import type { OpenTaskRequest } from '../api/tasks.js'
import type { Json } from '../core/canonical-json.js'
import { chainMembers } from '../ledger/replies.js'
import type { Task } from '../ledger/task.js'
import type { Idempotency } from './idempotency.js'
import type { Caller, Parts } from './parts.js'

/** All that is needed to write the task again into a ledger that lost it (recovery). Throws `audit_unavailable`. */
export async function recordOpened(
  parts: Parts,
  caller: Caller,
  task: Task,
  request: OpenTaskRequest,
  idempotency: Idempotency | null,
): Promise<void> {
  await parts.audit.append({
    event: 'task.opened',
    principal: task.principal,
    account: task.account,
    task: task.id,
    request_id: caller.requestId,
    instance_of: task.instance,
    ...(task.jkt === undefined ? {} : { pinned_to: task.jkt }),
    token_sha256: caller.principal.tokenSha256,
    purpose: request.purpose,
    attributes: task.attributes,
    opened_at: new Date(task.openedAt).toISOString(),
    expires_at: new Date(task.expiresAt).toISOString(),
    holders: task.holders.map(({ id, kind, windowMs }) => [id, kind, windowMs]),
    chain: task.chain,
    parent: task.parent,
    depth: task.depth,
    ...(chainMembers(task) as Record<string, Json>),
    ...(request.heartbeat_seconds === undefined ? {} : { heartbeat_seconds: request.heartbeat_seconds }),
    ...(idempotency ? { idempotency: { ...idempotency } } : {}),
  })
}
