// Operators' orders over many leases, and how far each one is.
import * as api from '../api/revocations.js'
import { awaitReceipts } from '../broker/await-receipts.js'
import { forceRevoke } from '../broker/force-revoke.js'
import type { Caller, Parts } from '../broker/parts.js'
import { writeLock } from '../broker/set-lock.js'
import { notFound } from '../broker/task-access.js'
import { receiptView } from '../broker/views.js'
import { invalidField } from '../core/errors.js'
import { callerOf, checkOperator } from './access.js'
import { concernedByMatch, concernedByTarget } from './concerned.js'
import { readOffset } from './read-request.js'
import { type Route, route } from './route.js'

export const revocationRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/revocations',
    access: 'operator',
    summary:
      'Orders every live lease of the target to end, after a lock where one is asked for. With dry_run it only counts.',
    body: api.revocationRequest,
    answer: api.revocationAnswer,
    async run({ parts, identity, body }) {
      const caller = callerOf(identity)
      for (const concerned of await concernedByTarget(parts, body.target)) {
        await checkOperator(parts, caller, 'operate.revoke', concerned)
        if (body.lock_seconds !== undefined) await checkOperator(parts, caller, 'operate.lock', concerned)
      }
      return { status: 202, body: await lockAndRevoke(parts, caller, body) }
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
      const known = await parts.ledger.findRevocation(id)
      // Whether there is one is told only to those who may see it, and nobody else may have us wait.
      if (known?.actor !== caller.principal.id) {
        const about = known === null ? [null] : await concernedByMatch(parts, known.match)
        for (const concerned of about) await checkOperator(parts, caller, 'operate.view', concerned)
      }
      if (!known) throw notFound('revocation')
      const page = () => parts.ledger.leasesOfRevocation(id, offset, limit)
      if (query.wait_seconds) await awaitReceipts(parts, await page(), query.wait_seconds * 1000)
      // The counts before the receipts: what is `done` must not be shown with receipts of before it was.
      const { state, matched, done, failed } = (await parts.ledger.findRevocation(id)) ?? known
      const ids = await page()
      const leases = await parts.ledger.findLeases(ids)
      const now = parts.clock.now()
      const next = ids.length === limit ? Buffer.from(String(offset + limit)).toString('base64url') : null
      const receipts = leases.map((one) => receiptView(one, now))
      return { status: 200, body: { id, state, matched, done, failed, receipts, next_cursor: next } }
    },
  }),
]

/** The lock comes first, so that nothing is issued behind the order's back. */
async function lockAndRevoke(
  parts: Parts,
  caller: Caller,
  order: api.RevocationRequest,
): Promise<api.RevocationAnswer> {
  const { target, reason, lock_seconds: lastsSeconds } = order
  if (lastsSeconds === undefined) return await forceRevoke(parts, caller, order)
  if ('where' in target)
    throw invalidField('lock_seconds', 'a filter cannot be locked; lock its issuer, account or resource')
  if (order.dry_run) return await forceRevoke(parts, caller, order)
  const locked = await writeLock(parts, caller, { target, reason, lastsSeconds }, { keepsTask: false })
  return await forceRevoke(parts, caller, order, locked)
}
