// Locks, by operators alone. Removing one needs a permit of its own: it lets credentials out again.
import * as api from '../api/locks.js'
import { removeLock } from '../broker/remove-lock.js'
import { setLock } from '../broker/set-lock.js'
import { notFound } from '../broker/task-access.js'
import { lockView } from '../broker/views.js'
import { callerOf, checkOperator, checkOperatorSeesAny, operatorMay } from './access.js'
import { concernedByTarget } from './concerned.js'
import { readOffset } from './read-request.js'
import { type Route, route } from './route.js'

export const lockRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/locks',
    access: 'operator',
    summary: 'Locks a target: nothing is issued for it from the answer on, and what it has is revoked.',
    body: api.lockRequest,
    answer: api.lock,
    async run({ parts, identity, body }) {
      const caller = callerOf(identity)
      const { target, reason, expires_at } = body
      for (const concerned of await concernedByTarget(parts, target)) {
        await checkOperator(parts, caller, 'operate.lock', concerned)
      }
      const expiry = expires_at ? { expiresAt: Date.parse(expires_at) } : {}
      // Not waited for: the lock holds already, and the revocation of what is there goes on behind the answer.
      const { lock } = await setLock(parts, caller, { target, reason, ...expiry })
      return { status: 201, body: lockView(lock) }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/locks',
    access: 'operator',
    summary: 'The locks that stand, the oldest first.',
    query: api.lockQuery,
    answer: api.lockList,
    async run({ parts, identity, query }) {
      const caller = callerOf(identity)
      const offset = readOffset(query.cursor)
      const limit = query.limit ?? 100
      const page = await parts.ledger.listLocks(offset, limit)
      const seesAll = operatorMay(parts, caller, 'operate.view', null)
      const visible = seesAll ? page : []
      for (const lock of seesAll ? [] : page) {
        const about = await concernedByTarget(parts, lock.target)
        if (about.every((one) => operatorMay(parts, caller, 'operate.view', one))) visible.push(lock)
      }
      if (visible.length === 0) await checkOperatorSeesAny(parts, caller)
      const next = page.length === limit ? Buffer.from(String(offset + limit)).toString('base64url') : null
      return { status: 200, body: { locks: visible.map(lockView), next_cursor: next } }
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/locks/:id',
    access: 'operator',
    summary: 'Removes a lock; another one on the same target stands.',
    answer: api.lock,
    async run({ parts, identity, params }) {
      const caller = callerOf(identity)
      const lock = await parts.ledger.findLock(params[0] ?? '')
      for (const concerned of lock === null ? [null] : await concernedByTarget(parts, lock.target)) {
        await checkOperator(parts, caller, 'operate.unlock', concerned)
      }
      if (lock === null) throw notFound('lock')
      return { status: 200, body: lockView(await removeLock(parts, caller, lock)) }
    },
  }),
]
