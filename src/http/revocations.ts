import * as api from '../api/revocations.js'
import { awaitReceipts } from '../broker/await-receipts.js'
import { forceRevoke } from '../broker/force-revoke.js'
import type { Parts } from '../broker/parts.js'
import { notFound } from '../broker/task-access.js'
import { receiptView } from '../broker/views.js'
import { type Concerned, callerOf, checkOperator, concernedBy } from './access.js'
import { readOffset } from './read-request.js'
import { type Route, route } from './route.js'

export const revocationRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/revocations',
    access: 'operator',
    summary: 'Orders every live lease of the target to end. With dry_run it only counts.',
    body: api.revocationRequest,
    answer: api.revocationAnswer,
    async run({ parts, identity, body }) {
      const caller = callerOf(identity)
      for (const concerned of await concernedByTarget(parts, body.target)) {
        await checkOperator(parts, caller, 'operate.revoke', concerned)
      }
      return { status: 202, body: await forceRevoke(parts, caller, body) }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/revocations/:id',
    access: 'operator',
    summary: 'How far an order is, with a page of receipts.',
    query: api.revocationQuery,
    answer: api.revocation,
    async run({ parts, identity, params, query }) {
      const caller = callerOf(identity)
      const id = params[0] ?? ''
      const offset = readOffset(query.cursor)
      const limit = query.limit ?? 100
      const ids = await parts.ledger.leasesOfRevocation(id, offset, limit)
      const leases = await awaitReceipts(parts, ids, (query.wait_seconds ?? 0) * 1000)
      const order = await parts.ledger.findRevocation(id)
      if (!order) throw notFound('revocation')
      if (order.actor !== caller.principal.id) await checkOperator(parts, caller, 'operate.view', null)
      const { state, matched, done, failed } = order
      const now = parts.clock.now()
      const next = ids.length === limit ? Buffer.from(String(offset + limit)).toString('base64url') : null
      const receipts = leases.map((one) => receiptView(one, now))
      return { status: 200, body: { id, state, matched, done, failed, receipts, next_cursor: next } }
    },
  }),
]

/** A lease, a resource and a task are judged on every resource concerned; every other target on the Broker. */
async function concernedByTarget(parts: Parts, target: api.Target): Promise<(Concerned | null)[]> {
  if ('resource' in target) return [target]
  if (!('lease' in target) && !('task' in target)) return [null]
  const ids = 'lease' in target ? [target.lease] : await parts.ledger.leasesOfTask(target.task)
  const leases = await parts.ledger.findLeases(ids)
  return leases.length === 0 ? [null] : leases.map(concernedBy)
}
