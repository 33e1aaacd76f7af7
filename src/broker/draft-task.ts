// A task as it is going to be opened: a root, or a child with all that its parent's chain binds it to.
import type { OpenTaskRequest } from '../api/tasks.js'
import { createId } from '../core/ids.js'
import { agentOf } from '../ledger/delegation.js'
import type { Task } from '../ledger/task.js'
import { holdersOf, withHoldersAbove } from './holders.js'
import type { Caller, Parts } from './parts.js'
import type { TakenDelegation } from './take-delegation.js'

const defaultTaskSeconds = 3600

/** Nothing is stored yet. Its times are foreseen by our clock; the ledger sets them. */
export function draftTask(
  parts: Parts,
  { principal }: Caller,
  request: OpenTaskRequest,
  taken: TakenDelegation | null,
): Task {
  const { limits } = parts.rules()
  const now = parts.clock.now()
  const id = createId('task', now)
  const expiresAt = now + Math.min(request.ttl_seconds ?? defaultTaskSeconds, limits.task.ttl) * 1000
  const root: Task = {
    id,
    principal: principal.id,
    account: principal.account,
    instance: principal.instance,
    ...(principal.jkt === undefined ? {} : { jkt: principal.jkt }),
    attributes: principal.attributes,
    ...(principal.binding === 'none' ? {} : { binding: principal.binding }),
    ...(principal.person === null ? {} : { person: principal.person }),
    holders: holdersOf(principal, limits.account.memory),
    chain: [id],
    parent: null,
    depth: 0,
    purpose: request.purpose,
    state: 'open',
    outcome: null,
    openedAt: now,
    expiresAt,
    endedAt: null,
    activeLeases: 0,
  }
  return taken === null ? root : below(root, taken)
}

/** Holders, depth and deadline as the chain has them: a child is never more than its parent (I7). */
function below(root: Task, { delegation, chain }: TakenDelegation): Task {
  const agent = agentOf(delegation)
  const [parent] = chain
  return {
    ...root,
    holders: withHoldersAbove(root.holders, parent?.holders ?? []),
    ceiling: delegation.record.ceiling,
    delegation: delegation.id,
    ...(agent === null ? {} : { agent }),
    ...(delegation.record.person === undefined ? {} : { delegator: delegation.record.person }),
    chain: [root.id, ...delegation.record.chain],
    parent: delegation.record.task,
    depth: (parent?.depth ?? 0) + 1,
    expiresAt: Math.min(root.expiresAt, ...chain.map((task) => task.expiresAt)),
  }
}
