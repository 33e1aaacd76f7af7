// Tasks: opened, listed, kept alive and completed.
import type { z } from 'zod'
import { openTaskAnswers } from '../api/approvals.js'
import { waitQuery } from '../api/leases.js'
import * as api from '../api/tasks.js'
import { approvalView } from '../broker/approval-view.js'
import { awaitReceipts } from '../broker/await-receipts.js'
import { dryRunOpening } from '../broker/dry-run.js'
import { endTask } from '../broker/end-task.js'
import { heartbeat } from '../broker/heartbeat.js'
import { openTask } from '../broker/open-task.js'
import type { Caller, Parts } from '../broker/parts.js'
import { pageOfEnded } from '../broker/recently-ended.js'
import { isOwn } from '../broker/task-access.js'
import { receiptView, taskView } from '../broker/views.js'
import { toTimestamp } from '../core/clock.js'
import { holderId } from '../ledger/keys.js'
import type { Task } from '../ledger/task.js'
import { actorOf, callerOf, checkOperatorSeesAny, mayViewTask, resolveOwnTask } from './access.js'
import { credentialView, dryRunView } from './credentials.js'
import { readIdempotency } from './idempotency.js'
import { readOffset } from './read-request.js'
import { type Route, route } from './route.js'

/** A workload sees its own instance's tasks; an operator those that it may view. Of ended ones the recent, the newest first. */
async function pageOfTasks(parts: Parts, caller: Caller, query: z.output<typeof api.taskQuery>) {
  const { principal } = caller
  const isOperator = principal.use === 'operator'
  const { state = 'open', limit = 100 } = query
  const isMeant = ({ state: is, principal: of, account }: Task) =>
    is === state && (query.principal ?? of) === of && (query.account ?? account) === account
  const visible = async (ids: readonly string[]) => {
    const found = (await parts.ledger.findTasks(ids)).filter(isMeant)
    const may = await Promise.all(
      found.map(async (task) => (isOperator ? await mayViewTask(parts, caller, task.id) : isOwn(task, principal))),
    )
    return found.filter((_, i) => may[i])
  }
  const from = readOffset(query.cursor)
  if (state === 'ended') {
    const ended = await pageOfEnded(parts, 'task', query.cursor === undefined ? null : from, limit, visible)
    return { tasks: ended.found, next: ended.next }
  }
  const ids = isOperator
    ? await parts.ledger.openTasks(from, limit)
    : (await parts.ledger.openTasksOf(holderId('account', principal.account))).slice(from, from + limit)
  return { tasks: await visible(ids), next: ids.length === limit ? from + limit : null }
}

export const taskRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks',
    access: 'workload',
    summary: 'Opens a task, with the credentials asked for at once. With dry_run=true it only decides, and opens none.',
    mints: true,
    takesIdempotencyKey: true,
    query: api.openTaskQuery,
    body: api.openTaskRequest,
    answer: openTaskAnswers,
    async run({ parts, identity, query, body, headers }) {
      const caller = callerOf(identity)
      if (query.dry_run === 'true') {
        const decisions = await dryRunOpening(parts, caller, body)
        return { status: 200, body: { decisions: decisions.map(dryRunView) } }
      }
      const { account, instance, delegation } = caller.principal
      const scope = [account, instance ?? '', ...(delegation === undefined ? [] : [delegation])].join('\0')
      const opened = await openTask(parts, caller, body, readIdempotency(headers, scope, body))
      if (opened.approvals.length > 0) {
        const approvals = opened.approvals.map((one) => approvalView(one, parts.issuer, parts.clock.now()))
        return { status: 202, body: { task: taskView(opened.task), task_token: opened.taskToken, approvals } }
      }
      return {
        status: 201,
        body: {
          task: taskView(opened.task),
          task_token: opened.taskToken,
          ...(body.credentials ? { credentials: opened.credentials.map(credentialView) } : {}),
        },
      }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks',
    access: 'caller',
    summary: "The caller's own open tasks, or an operator's by operate.view; with state=ended those that ended lately.",
    query: api.taskQuery,
    answer: api.taskList,
    async run({ parts, identity, query }) {
      const caller = callerOf(identity)
      const { tasks, next } = await pageOfTasks(parts, caller, query)
      // Nothing to see may mean that nothing is there, or that nothing may be seen: the second is a refusal.
      if (tasks.length === 0 && caller.principal.use === 'operator') await checkOperatorSeesAny(parts, caller)
      const next_cursor = next === null ? null : Buffer.from(String(next)).toString('base64url')
      return { status: 200, body: { tasks: tasks.map(taskView), next_cursor } }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/:id',
    access: 'owner_or_operator',
    summary: 'One task.',
    answer: api.task,
    async run({ parts, identity, params }) {
      return { status: 200, body: taskView(await resolveOwnTask(parts, identity, params[0] ?? '')) }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/:id/complete',
    access: 'owner',
    summary: 'Ends the task and all below it; answers one receipt per lease. Repeating it gives the same answer.',
    query: waitQuery,
    body: api.completeRequest,
    answer: api.completeAnswer,
    async run({ parts, identity, params, query, body }) {
      const task = await resolveOwnTask(parts, identity, params[0] ?? '')
      const leases = await endTask(parts, task.id, {
        outcome: body.outcome ?? 'succeeded',
        actor: actorOf(identity),
        requestId: identity.requestId,
      })
      const settled = await awaitReceipts(parts, leases, (query.wait_seconds ?? 0) * 1000)
      const now = parts.clock.now()
      const ended = (await parts.ledger.findTask(task.id)) ?? task
      return { status: 200, body: { task: taskView(ended), receipts: settled.map((lease) => receiptView(lease, now)) } }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/:id/heartbeat',
    access: 'workload',
    summary: 'Shows that the work goes on. A task opened with heartbeat_seconds that misses it is ended as abandoned.',
    body: api.heartbeatRequest,
    answer: api.heartbeatAnswer,
    async run({ parts, identity, params }) {
      const task = await resolveOwnTask(parts, identity, params[0] ?? '')
      const before = await heartbeat(parts, task)
      return { status: 200, body: { task: taskView(task), next_before: before === null ? null : toTimestamp(before) } }
    },
  }),
]
