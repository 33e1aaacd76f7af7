// A task as the ledger stores it, and how it is asked for.
import type { LedgerTime } from './not-after.js'
import { chainMembers, type TaskRecord } from './replies.js'
import type { RunScript } from './scripts.js'
import { ledgerUnavailable } from './unavailable.js'
import type { OpenTask, OpenTaskAnswer } from './way-out.js'

/** Throws `ledger_unavailable`, also when Redis took it up too late. */
export async function openTask(run: RunScript, request: OpenTask, time: LedgerTime): Promise<OpenTaskAnswer> {
  const { task, idempotency } = request
  const record: TaskRecord = {
    principal: task.principal,
    account: task.account,
    instance: task.instance,
    attributes: task.attributes,
    holders: task.holders.map((holder) => [holder.id, holder.kind, holder.windowMs]),
    chain: task.chain,
    parent: task.parent,
    depth: task.depth,
    purpose: task.purpose,
    ...(task.jkt === undefined ? {} : { jkt: task.jkt }),
    ...chainMembers(task),
  }
  const args = {
    task: task.id,
    chain: task.chain.slice(1),
    parent: task.parent ?? undefined,
    account: task.holders.find((holder) => holder.kind === 'account')?.id,
    ttlMs: request.ttlSeconds * 1000,
    openTasks: request.openTasksLimit,
    rate: request.ratePerMinute ?? undefined,
    beatMs: request.heartbeat?.everyMs,
    firstBeatMs: request.heartbeat?.firstMs,
    delegation: task.delegation,
    notAfter: time.notAfter(),
    ...(idempotency ? { idem: idempotency.key, body: idempotency.bodySha256 } : {}),
  }
  const answer = (await run('open-task', JSON.stringify(args), JSON.stringify(record))) as [
    string,
    ...(string | number)[],
  ]
  const [outcome, first, second] = answer
  if (outcome === 'late') {
    time.heard(Number(first))
    throw ledgerUnavailable()
  }
  if (outcome === 'ok') return { outcome, task: { ...task, openedAt: Number(first), expiresAt: Number(second) } }
  if (outcome === 'again') return { outcome, task: String(first), bodySha256: String(second) }
  if (outcome === 'rate') return { outcome, retryAfterSeconds: Math.ceil(Number(first) / 1000) }
  if (outcome === 'opened') return { outcome, task: String(first) }
  if (outcome === 'closed' || outcome === 'no_delegation') return { outcome }
  return { outcome: 'quota', retryAfterSeconds: 60 }
}
