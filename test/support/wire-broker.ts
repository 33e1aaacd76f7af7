// What the small broker of the clients' tests does with a request.
import { type Answer, Refusal } from './wire-answers.js'
import { approvalRoutes } from './wire-approvals.js'
import { leaseRoutes, revocationRoutes } from './wire-leases.js'
import type { SeenRequest, WireState } from './wire-state.js'
import { taskRoutes } from './wire-tasks.js'

export function answerTo(request: SeenRequest, state: WireState): Answer {
  try {
    if (request.path === '/.well-known/hallpass') {
      return {
        status: 200,
        body: { issuer: 'https://hallpass.test', audiences: ['other', 'https://hallpass.test'], version: '0' },
      }
    }
    const routes = [...taskRoutes(state), ...leaseRoutes(state), ...revocationRoutes(state), ...approvalRoutes(state)]
    for (const [method, pattern, story] of routes) {
      const match = pattern.exec(request.path)
      if (method === request.method && match !== null) return story(request, match[1] ?? '')
    }
    throw new Refusal(404, 'not_found', 'there is nothing here')
  } catch (error) {
    if (error instanceof Refusal) return { status: error.status, body: error.body }
    throw error
  }
}
