import * as api from '../api/simulate.js'
import { simulate } from '../broker/simulate.js'
import { callerOf, checkOperator } from './access.js'
import { type Route, route } from './route.js'

export const policyRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/policy/simulate',
    access: 'operator',
    summary:
      'What would be decided, of a request or of recorded decisions, by the policies in force and by a candidate set.',
    body: api.simulateRequest,
    answer: api.simulateAnswer,
    async run({ parts, identity, body }) {
      const caller = callerOf(identity)
      await checkOperator(parts, caller, 'operate.simulate', null)
      return { status: 200, body: await simulate(parts, caller, body) }
    },
  }),
]
