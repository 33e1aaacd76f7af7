// Leases: operators find them and care for those that failed; whoever has one gives it back.
import * as api from '../api/leases.js'
import { abandonLease, retryLease } from '../broker/failed-lease.js'
import { matchOfFilter } from '../broker/lease-match.js'
import { listLeases } from '../broker/list-leases.js'
import type { Caller, Parts } from '../broker/parts.js'
import { release } from '../broker/release.js'
import { notFound } from '../broker/task-access.js'
import { leaseView, receiptView } from '../broker/views.js'
import type { Lease } from '../ledger/lease.js'
import { actorOf, callerOf, checkOperator, checkOperatorSeesAny, operatorMay, resolveOwnLease } from './access.js'
import { concernedBy } from './concerned.js'
import { type Route, route } from './route.js'

export const leaseRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/leases',
    access: 'operator',
    summary:
      'Leases that may be alive, filtered; with task= all of it and below; with a state that is an end, or a fingerprint, also those that ended lately.',
    query: api.leaseQuery,
    answer: api.leaseList,
    async run({ parts, identity, query }) {
      const caller = callerOf(identity)
      const { cursor, limit, ...filter } = query
      const match = matchOfFilter(filter)
      const page = await listLeases(parts, match, cursor ?? null, limit ?? 100)
      const visible = page.leases.filter((lease) => operatorMay(parts, caller, 'operate.view', concernedBy(lease)))
      // Nothing to see may mean that nothing is there, or that nothing may be seen: the second is a refusal.
      if (visible.length === 0) await checkOperatorSeesAny(parts, caller)
      return { status: 200, body: { leases: visible.map(leaseView), next_cursor: page.cursor } }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/leases/:id',
    access: 'owner_or_operator',
    summary: 'One lease; never its secret.',
    answer: api.lease,
    async run({ parts, identity, params }) {
      return { status: 200, body: leaseView(await resolveOwnLease(parts, identity, params[0] ?? '')) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/leases/:id',
    access: 'owner',
    summary: 'Gives a lease back before its time.',
    answer: api.releaseAnswer,
    async run({ parts, identity, params }) {
      const lease = await resolveOwnLease(parts, identity, params[0] ?? '')
      const settled = await release(parts, lease, actorOf(identity), identity.requestId)
      return { status: 200, body: { receipt: receiptView(settled, parts.clock.now()) } }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/leases/:id/retry',
    access: 'operator',
    summary: 'Has a failed revocation tried again.',
    body: api.retryRequest,
    answer: api.leaseAnswer,
    async run({ parts, identity, params, body }) {
      const caller = callerOf(identity)
      const lease = await resolveConcerned(parts, caller, 'operate.retry', params[0] ?? '')
      return { status: 200, body: { lease: leaseView(await retryLease(parts, caller, lease, body.reason)) } }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/leases/:id/abandon',
    access: 'operator',
    summary: 'Closes a failed revocation: nobody tries any more, and it counts as held until its natural end.',
    body: api.abandonRequest,
    answer: api.leaseAnswer,
    async run({ parts, identity, params, body }) {
      const caller = callerOf(identity)
      const lease = await resolveConcerned(parts, caller, 'operate.abandon', params[0] ?? '')
      return { status: 200, body: { lease: leaseView(await abandonLease(parts, caller, lease, body.reason)) } }
    },
  }),
]

/** The lease, for an operator who may do this to it; whether there is one is told only to those who may do it anywhere. */
async function resolveConcerned(
  parts: Parts,
  caller: Caller,
  action: 'operate.retry' | 'operate.abandon',
  id: string,
): Promise<Lease> {
  const lease = await parts.ledger.findLease(id)
  await checkOperator(parts, caller, action, lease === null ? null : concernedBy(lease))
  if (lease === null) throw notFound('lease')
  return lease
}
