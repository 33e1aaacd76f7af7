// The exchange over HTTP: 201 with the credential, 202 with an approval, or what a dry run would decide.
import { credentialAnswers } from '../api/approvals.js'
import * as api from '../api/credentials.js'
import { approvalView } from '../broker/approval-view.js'
import { ApprovalWanted } from '../broker/ask-approval.js'
import { type DryRun, dryRun } from '../broker/dry-run.js'
import { type Exchanged, exchange } from '../broker/exchange.js'
import { resolveRequest } from '../broker/resolved-request.js'
import { decisionView, leaseView } from '../broker/views.js'
import { callerOf, checkTaskToken } from './access.js'
import { readIdempotency } from './idempotency.js'
import { type Route, route } from './route.js'

/** The one answer with a secret: it is shown here and nowhere else (I5). */
export const credentialView = ({ lease, credential, decision, env }: Exchanged) => ({
  lease: leaseView(lease),
  credential,
  decision: decisionView(decision),
  ...(Object.keys(env).length > 0 ? { env } : {}),
})

/** What would be decided; there is no lease and no credential. */
export const dryRunView = ({ decision, ttlSeconds }: DryRun) => ({
  decision: decisionView(decision),
  ttl_seconds: ttlSeconds,
})

export const credentialRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks/:id/credentials',
    access: 'workload',
    summary: 'Buys one credential in an open task. With dry_run=true it only decides.',
    mints: true,
    takesIdempotencyKey: true,
    query: api.credentialQuery,
    body: api.credentialRequest,
    answer: credentialAnswers,
    check: (parts, body) => void resolveRequest(parts, body),
    async run({ parts, identity, params, query, body, headers }) {
      const task = params[0] ?? ''
      await checkTaskToken(parts, identity, task)
      if (query.dry_run === 'true') {
        return { status: 200, body: dryRunView(await dryRun(parts, callerOf(identity), task, body)) }
      }
      const caller = callerOf(identity)
      try {
        const bought = await exchange(parts, caller, task, body, readIdempotency(headers, task, body))
        return { status: 201, body: credentialView(bought) }
      } catch (error) {
        if (!(error instanceof ApprovalWanted)) throw error
        return { status: 202, body: { approval: approvalView(error.approval, parts.issuer, parts.clock.now()) } }
      }
    },
  }),
]
