import { waitQuery } from '../api/leases.js'
import * as api from '../api/tasks.js'
import { awaitReceipts } from '../broker/await-receipts.js'
import { endTask } from '../broker/end-task.js'
import { openTask } from '../broker/open-task.js'
import { receiptView, taskView } from '../broker/views.js'
import { holderId } from '../ledger/keys.js'
import { actorOf, callerOf, checkOperator, resolveOwnTask } from './access.js'
import { credentialView } from './credentials.js'
import { readIdempotency } from './idempotency.js'
import { type Route, route } from './route.js'

export const taskRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks',
    access: 'workload',
    summary: 'Opens a task, with the credentials asked for at once.',
    mints: true,
    body: api.openTaskRequest,
    answer: api.openTaskAnswer,
    async run({ parts, identity, body, headers }) {
      const caller = callerOf(identity)
      const scope = `${caller.principal.account}\0${caller.principal.instance ?? ''}`
      const opened = await openTask(parts, caller, body, readIdempotency(headers, scope, body))
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
      const { principal } = caller
      if (principal.use === 'operator') await checkOperator(parts, caller, 'operate.view', null)
      const ids = query.state === 'ended' ? [] : await parts.ledger.openTasksOf(holderId('account', principal.account))
      const start =
        query.cursor === undefined
          ? 0
          : ids.findIndex((id) => id > Buffer.from(query.cursor ?? '', 'base64url').toString('utf8'))
      const page = start === -1 ? [] : ids.slice(start, start + (query.limit ?? 100))
      const tasks = (await Promise.all(page.map((id) => parts.ledger.findTask(id)))).flatMap((task) =>
        task && task.principal === principal.id && task.instance === principal.instance ? [taskView(task)] : [],
      )
      const last = page.at(-1)
      const more = last !== undefined && start + page.length < ids.length
      return { status: 200, body: { tasks, next_cursor: more ? Buffer.from(last).toString('base64url') : null } }
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
]
