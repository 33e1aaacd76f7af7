import * as api from '../api/leases.js'
import { release } from '../broker/release.js'
import { leaseView, receiptView } from '../broker/views.js'
import type { LeaseMatch } from '../ledger/ledger.js'
import { actorOf, callerOf, checkOperator, concernedBy, operatorMay, resolveOwnLease } from './access.js'
import { type Route, route } from './route.js'

export const leaseRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/leases',
    access: 'operator',
    summary: 'Leases that may be alive, filtered; with task= also those that have ended.',
    query: api.leaseQuery,
    answer: api.leaseList,
    async run({ parts, identity, query }) {
      const caller = callerOf(identity)
      const { cursor, limit, issued_after, issued_before, ...rest } = query
      const match: LeaseMatch = {
        ...rest,
        ...(issued_after ? { issuedAfter: Date.parse(issued_after) } : {}),
        ...(issued_before ? { issuedBefore: Date.parse(issued_before) } : {}),
      } as LeaseMatch
      const page = await parts.ledger.scanLeases(match, [...parts.providers.keys()], cursor ?? null, limit ?? 100)
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
]

/** An operator who may view nothing at all is told so. */
async function checkOperatorSeesAny(
  parts: Parameters<typeof checkOperator>[0],
  caller: Parameters<typeof checkOperator>[1],
) {
  const { catalogue, policy } = parts.rules()
  const seesSome = catalogue.resources.some((entry) => {
    const resource = { id: entry.pattern, type: entry.type, attributes: entry.attributes }
    return policy.permitsOperator(caller.principal, 'operate.view', resource, {}).permit
  })
  if (!seesSome) await checkOperator(parts, caller, 'operate.view', null)
}
