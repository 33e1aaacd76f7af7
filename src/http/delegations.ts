// Handing a part of a task on.
import * as api from '../api/delegations.js'
import { checkDelegable, delegate } from '../broker/delegate.js'
import { toTimestamp } from '../core/clock.js'
import { callerOf, resolveOwnTask } from './access.js'
import { type Route, route } from './route.js'

export const delegationRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks/:id/delegations',
    access: 'workload',
    summary: 'Hands a part of what the task may do to one delegate, for one child task.',
    mints: true,
    body: api.delegationRequest,
    answer: api.delegationAnswer,
    check: checkDelegable,
    async run({ parts, identity, params, body }) {
      const task = await resolveOwnTask(parts, identity, params[0] ?? '')
      const { delegation, token } = await delegate(parts, callerOf(identity), task, body)
      return {
        status: 201,
        body: {
          delegation: { id: delegation.id, expires_at: toTimestamp(delegation.expiresAt) },
          ...(token === null ? {} : { delegation_token: token }),
        },
      }
    },
  }),
]
