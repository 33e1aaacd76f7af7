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
import { isOwn } from '../broker/task-access.js'
import { receiptView, taskView } from '../broker/views.js'
import { toTimestamp } from '../core/clock.js'
import { holderId } from '../ledger/keys.js'
import type { Task } from '../ledger/task.js'
import { actorOf, callerOf, checkOperator, resolveOwnTask } from './access.js'
import { credentialView, dryRunView } from './credentials.js'
import { readIdempotency } from './idempotency.js'
import { readOffset } from './read-request.js'
import { type Route, route } from './route.js'

/** A workload sees its own instance's open tasks; an operator who may view the Broker, everybody's. Ended ones are read by id. */
async function pageOfTasks(parts: Parts, caller: Caller, state: 'open' | 'ended', offset: number, limit: number) {
  const { principal } = caller
  const isOperator = principal.use === 'operator'
  if (isOperator) await checkOperator(parts, caller, 'operate.view', null)
  if (state === 'ended') return { tasks: [], more: false }
  const ids = isOperator
    ? await parts.ledger.openTasks(offset, limit)
    : (await parts.ledger.openTasksOf(holderId('account', principal.account))).slice(offset, offset + limit)
  const found = await Promise.all(ids.map((id) => parts.ledger.findTask(id)))
  const isVisible = (task: Task) => task.state === 'open' && (isOperator || isOwn(task, principal))
  return { tasks: found.flatMap((task) => (task && isVisible(task) ? [task] : [])), more: ids.length === limit }
}

export const taskRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks',
    access: 'workload',
    summary: 'Opens a task, with the credentials asked for at once. With dry_run=true it only decides, and opens none.',
    mints: true,
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
    summary: "The caller's own open tasks.",
    query: api.taskQuery,
    answer: api.taskList,
    async run({ parts, identity, query }) {
      const caller = callerOf(identity)
      const offset = readOffset(query.cursor)
      const limit = query.limit ?? 100
      const page = await pageOfTasks(parts, caller, query.state ?? 'open', offset, limit)
      const next = page.more ? Buffer.from(String(offset + limit)).toString('base64url') : null
      return { status: 200, body: { tasks: page.tasks.map(taskView), next_cursor: next } }
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
      const leases = await endTask(parts, task.id, body.outcome ?? 'succeeded', actorOf(identity), identity.requestId)
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
    answer: api.heartbeatAnswer,
    async run({ parts, identity, params }) {
      const task = await resolveOwnTask(parts, identity, params[0] ?? '')
      const before = await heartbeat(parts, task)
      return { status: 200, body: { task: taskView(task), next_before: before === null ? null : toTimestamp(before) } }
    },
  }),
]
