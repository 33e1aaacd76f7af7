// What happened in a task or anywhere, and what workers say that they did.
import * as audit from '../api/audit.js'
import * as events from '../api/events.js'
import type { Caller, Parts } from '../broker/parts.js'
import { auditWindow, readAudit } from '../broker/read-audit.js'
import { readTimeline } from '../broker/read-timeline.js'
import { reportEvents } from '../broker/report-events.js'
import { notFound, recordForeign } from '../broker/task-access.js'
import type { Task } from '../ledger/task.js'
import { actorOf, callerOf, checkOperatorSeesAny, operatorMay, resolveOwnTask } from './access.js'
import { type Identity, type Route, route } from './route.js'

export const timelineRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks/:id/events',
    access: 'owner',
    summary: 'What the worker of a task says that it did; kept as claimed, without secrets, capped per task.',
    body: events.eventsRequest,
    answer: events.eventsAnswer,
    async run({ parts, identity, params, body }) {
      const task = await resolveOwnTask(parts, identity, params[0] ?? '')
      const by = { actor: actorOf(identity), requestId: identity.requestId }
      return { status: 200, body: await reportEvents(parts, by, task, body.events) }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/:id/timeline',
    access: 'owner_or_operator',
    summary: 'A task and all below it as one story, oldest first: a bounded copy of the audit.',
    answer: audit.timelineAnswer,
    async run({ parts, identity, params }) {
      const task = await resolveTold(parts, identity, params[0] ?? '')
      const isOperators = identity.kind === 'principal' && identity.principal.use === 'operator'
      // Whom the owner delegated to answers for what it says of itself.
      const sees = (one: Task) => isOperators || one.principal === task.principal
      return { status: 200, body: { task: task.id, ...(await readTimeline(parts, task, sees)) } }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/audit',
    access: 'operator',
    summary: 'The newest audit records of every program on this ledger, newest first, filtered.',
    query: audit.auditQuery,
    answer: audit.auditList,
    async run({ parts, identity, query }) {
      const { cursor, limit = 100, ...filter } = query
      const caller = callerOf(identity)
      const read = await readAudit(parts, filter, seesOf(parts, caller), cursor, limit)
      // Nothing to see may mean that nothing is there, or that nothing may be seen: the second is a refusal.
      if (read.records.length === 0) await checkOperatorSeesAny(parts, caller, 'operate.audit')
      const window = { ...auditWindow, oldest: read.oldest, newest: read.newest }
      return { status: 200, body: { records: read.records, next_cursor: read.nextCursor, window } }
    },
  }),
]

/** The caller's own, or any task of an operator who may audit the Broker. */
async function resolveTold(parts: Parts, identity: Identity, id: string): Promise<Task> {
  if (identity.kind === 'principal' && identity.principal.use === 'operator') {
    // Of whoever sees some resources alone: a story also tells what was asked for on others.
    const caller = callerOf(identity)
    const may = (['operate.audit', 'operate.view'] as const).some((action) => operatorMay(parts, caller, action, null))
    const found = await parts.ledger.findTask(id)
    if (found !== null && may) return found
    if (found !== null) await recordForeign(parts, caller, found, { task: id })
    throw notFound('task')
  }
  return await resolveOwnTask(parts, identity, id)
}

/** All of it for whoever may audit the Broker; else the records that name a resource which the operator may audit. */
function seesOf(parts: Parts, caller: Caller): (entry: audit.AuditEntry) => boolean {
  if (operatorMay(parts, caller, 'operate.audit', null)) return () => true
  const known = new Map<string, boolean>()
  return (entry) => {
    const resource = resourceOf(entry)
    if (resource === null) return false
    const may = known.get(resource) ?? operatorMay(parts, caller, 'operate.audit', { resource })
    known.set(resource, may)
    return may
  }
}

function resourceOf({ record, decision, resource }: audit.AuditEntry): string | null {
  for (const holder of [record, decision, { resource }]) {
    const named = (holder as { resource?: unknown } | undefined)?.resource
    if (typeof named === 'string') return named
  }
  return null
}
