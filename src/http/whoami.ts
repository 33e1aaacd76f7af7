// Who the caller is to us. It tells back what is in the caller's own token and nothing else: no ledger, no policy.
import * as api from '../api/whoami.js'
import { whoamiView } from '../broker/views.js'
import { callerOf } from './access.js'
import { type Route, route } from './route.js'

export const whoamiRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/whoami',
    access: 'caller',
    summary: 'What was verified of the caller, workload or operator.',
    answer: api.whoami,
    async run({ identity }) {
      return { status: 200, body: whoamiView(callerOf(identity).principal) }
    },
  }),
]
