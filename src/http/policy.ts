// Simulations, by operators alone. Nothing is reserved, minted or counted.
import * as change from '../api/policy-change.js'
import * as api from '../api/simulate.js'
import { applyChange, pendingChange } from '../broker/apply-change.js'
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
    // A whole policy folder: with less, only those who have few policies could ask before they merge.
    maxBodyBytes: 1 << 20,
    answer: api.simulateAnswer,
    async run({ parts, identity, body }) {
      const caller = callerOf(identity)
      await checkOperator(parts, caller, 'operate.simulate', null)
      // Whose leases live, and what was decided of whom, is told to those alone who may read it without a simulation, too.
      if (body.live !== undefined) await checkOperator(parts, caller, 'operate.view', null)
      if (body.recorded !== undefined) await checkOperator(parts, caller, 'operate.audit', null)
      return { status: 200, body: await simulate(parts, caller, body) }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/policy/apply',
    access: 'operator',
    summary: 'Lets changed rules that wait end the live leases that they no longer permit.',
    body: change.applyRequest,
    answer: change.policyChange,
    async run({ parts, identity, body }) {
      const caller = callerOf(identity)
      await checkOperator(parts, caller, 'operate.revoke', null)
      return { status: 202, body: await applyChange(parts, caller, body) }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/policy/pending',
    access: 'operator',
    summary: 'How far changed rules have reached live leases, and which of them wait to end.',
    query: change.pendingQuery,
    answer: change.pendingList,
    async run({ parts, identity, query }) {
      await checkOperator(parts, callerOf(identity), 'operate.view', null)
      return { status: 200, body: await pendingChange(parts, query.cursor ?? null) }
    },
  }),
]
