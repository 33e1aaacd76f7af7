// Leases and orders to revoke them, as the small broker of the clients' tests keeps them.
import { z } from 'zod'
import { type Lease, leaseQuery, type Receipt } from '../../src/api/leases.js'
import { revocationRequest } from '../../src/api/revocations.js'
import { createId } from '../../src/core/ids.js'
import { type Answer, authenticate, check, Refusal, type Route } from './wire-answers.js'
import { inAnHour, type Offer, operatorToken, type SeenRequest, type WireState, workloadToken } from './wire-state.js'

export function leaseRoutes(state: WireState): Route[] {
  return [
    ['GET', /^\/v1\/leases$/, (request) => listLeases(state, request)],
    ['GET', /^\/v1\/leases\/([^/]+)$/, (request, id) => ({ status: 200, body: leaseOf(state, id, request) })],
    [
      'DELETE',
      /^\/v1\/leases\/([^/]+)$/,
      (request, id) => {
        check(z.strictObject({}), request.query)
        return { status: 200, body: { receipt: endLease(state, leaseOf(state, id, request)) } }
      },
    ],
  ]
}

export function revocationRoutes(state: WireState): Route[] {
  const order = (request: SeenRequest): Answer => {
    authenticate(request, [operatorToken])
    const { dry_run } = check(revocationRequest, request.body)
    const live = [...state.leases.values()].filter((lease) => lease.state === 'active')
    if (dry_run) return { status: 202, body: { id: null, matched: live.length } }
    const id = createId('rev', Date.now())
    state.revocations.set(id, 1)
    return { status: 202, body: { id, matched: live.length } }
  }
  const progress = (request: SeenRequest, id: string): Answer => {
    authenticate(request, [operatorToken])
    const runs = state.revocations.get(id) ?? 0
    state.revocations.set(id, runs - 1)
    const all = [...state.leases.values()]
    // Running once, then done; the receipts come one per page.
    if (runs > 0)
      return {
        status: 200,
        body: { id, state: 'running', matched: all.length, done: 0, failed: 0, receipts: [], next_cursor: null },
      }
    const at = Number(request.query.cursor ?? 0)
    const receipts = all.map((lease) => endLease(state, lease))
    const failed = receipts.filter((one) => one.outcome === 'failed').length
    const next_cursor = at + 1 < receipts.length ? String(at + 1) : null
    const body = {
      id,
      state: 'done',
      matched: all.length,
      done: all.length - failed,
      failed,
      receipts: receipts.slice(at, at + 1),
      next_cursor,
    }
    return { status: 200, body }
  }
  return [
    ['POST', /^\/v1\/revocations$/, order],
    ['GET', /^\/v1\/revocations\/([^/]+)$/, progress],
  ]
}

function listLeases(state: WireState, request: SeenRequest): Answer {
  authenticate(request, [operatorToken])
  const filter = check(leaseQuery, request.query)
  const leases = [...state.leases.values()].filter((one) => filter.action === undefined || one.action === filter.action)
  return { status: 200, body: { leases, next_cursor: null } }
}

export function endLease(state: WireState, lease: Lease): Receipt {
  const offer = state.offers.get(lease.action) as Offer
  const isPending = (offer.pendingAnswers ?? 0) > 0
  offer.pendingAnswers = Math.max(0, (offer.pendingAnswers ?? 0) - 1)
  const outcome = isPending ? 'pending' : (offer.outcome ?? 'confirmed')
  const evidence = outcome === 'confirmed' ? 'probe_dead' : 'none'
  const receipt: Receipt = {
    lease_id: lease.id,
    outcome,
    at: new Date().toISOString(),
    evidence,
    expires_at: inAnHour,
    sessions: 'ended',
  }
  state.leases.set(lease.id, { ...lease, state: isPending ? 'revoking' : 'revoked', receipt })
  return receipt
}

function leaseOf(state: WireState, id: string, request: SeenRequest): Lease {
  const lease = state.leases.get(id)
  authenticate(request, [workloadToken, operatorToken, `token-of.${lease?.task_id}`])
  if (lease === undefined) throw new Refusal(404, 'not_found', `no lease ${id}`)
  return lease
}
