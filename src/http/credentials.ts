import * as api from '../api/credentials.js'
import { resolveAsked } from '../broker/asked.js'
import { decide } from '../broker/decide.js'
import { type Exchanged, exchange } from '../broker/exchange.js'
import { refuse } from '../broker/refusal.js'
import { checkOwner } from '../broker/task-access.js'
import { decisionView, leaseView } from '../broker/views.js'
import { BrokerError } from '../core/errors.js'
import { callerOf, checkTaskToken } from './access.js'
import { readIdempotency } from './idempotency.js'
import { type Exchange, type Route, route } from './route.js'

export const credentialView = ({ lease, credential, decision, env }: Exchanged) => ({
  lease: leaseView(lease),
  credential,
  decision: decisionView(decision),
  ...(Object.keys(env).length > 0 ? { env } : {}),
})

export const credentialRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks/:id/credentials',
    access: 'workload',
    summary: 'Buys one credential in an open task. With dry_run=true it only decides.',
    mints: true,
    query: api.credentialQuery,
    body: api.credentialRequest,
    answer: api.credentialAnswer,
    async run({ parts, identity, params, query, body, headers }) {
      const task = params[0] ?? ''
      await checkTaskToken(parts, identity, task)
      if (query.dry_run === 'true') return await dryRun({ parts, identity, params, query, body, headers })
      const bought = await exchange(parts, callerOf(identity), task, body, readIdempotency(headers, task, body))
      return { status: 201, body: credentialView(bought) }
    },
  }),
]

/** Decides and mints nothing; a denial is the same 403 as without. */
async function dryRun({ parts, identity, params, body }: Exchange<api.CredentialQuery, api.CredentialRequest>) {
  const caller = callerOf(identity)
  const asked = resolveAsked(parts, body)
  const look = await parts.ledger.look(params[0] ?? '', null, null)
  const found = look !== 'not_found' && !('rateRetryAfterSeconds' in look) ? look : null
  const task = await checkOwner(parts, caller, params[0] ?? '', found?.task ?? null)
  if (!found?.chainOpen) throw new BrokerError('task_closed', `${task.id} has ended`)
  const decided = decide(parts, caller, asked, { ...found, task: { ...task, expiresAt: found.chainExpiresAt } })
  if (decided.verdict.effect !== 'permit') throw await refuse(parts, caller, task.id, decided)
  return { status: 200, body: { decision: decisionView(decided.decision), ttl_seconds: decided.verdict.ttlSeconds } }
}
