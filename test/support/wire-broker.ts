// What the small broker of the clients' tests does with a request. It takes nothing that the contract's own schemas refuse.
import { z } from 'zod'
import { answerRequest, approvalQuery, approvalsQuery } from '../../src/api/approvals.js'
import { credentialRequest } from '../../src/api/credentials.js'
import { delegationRequest } from '../../src/api/delegations.js'
import { idempotencyKey } from '../../src/api/fields.js'
import { type Lease, leaseQuery, type Receipt, waitQuery } from '../../src/api/leases.js'
import { revocationRequest } from '../../src/api/revocations.js'
import { completeRequest, openTaskRequest, type Task, taskQuery } from '../../src/api/tasks.js'
import { createId } from '../../src/core/ids.js'
import { answerApproval, wantApproval } from './wire-approvals.js'
import { inAnHour, type Offer, operatorToken, type SeenRequest, type WireState, workloadToken } from './wire-state.js'

class Refusal extends Error {
  readonly status: number
  readonly body: Record<string, unknown>
  constructor(status: number, code: string, detail: string, members: object = {}) {
    super(detail)
    this.status = status
    this.body = { type: 'about:blank', title: code, status, code, detail, ...members }
  }
}

export type Answer = { status: number; body: unknown }
type Route = [method: string, pattern: RegExp, story: (request: SeenRequest, id: string) => Answer]

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

function taskRoutes(state: WireState): Route[] {
  return [
    ['POST', /^\/v1\/tasks$/, (request) => openTask(state, request)],
    ['GET', /^\/v1\/tasks$/, (request) => listTasks(state, request)],
    ['GET', /^\/v1\/tasks\/([^/]+)$/, (request, id) => ({ status: 200, body: taskOf(state, id, request) })],
    ['POST', /^\/v1\/tasks\/([^/]+)\/credentials$/, (request, id) => requestCredential(state, request, id)],
    ['POST', /^\/v1\/tasks\/([^/]+)\/complete$/, (request, id) => completeTask(state, request, id)],
    ['POST', /^\/v1\/tasks\/([^/]+)\/heartbeat$/, (request, id) => beat(state, request, id)],
    ['POST', /^\/v1\/tasks\/([^/]+)\/delegations$/, (request, id) => delegate(state, request, id)],
    ['GET', /^\/v1\/whoami$/, whoami],
  ]
}

function leaseRoutes(state: WireState): Route[] {
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

function revocationRoutes(state: WireState): Route[] {
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

function approvalRoutes(state: WireState): Route[] {
  const operator = (story: Route[2]): Route[2] => {
    return (request, id) => {
      authenticate(request, [operatorToken])
      return story(request, id)
    }
  }
  const answered = (vote: 'approve' | 'deny') =>
    operator((request, id) => {
      const { reason } = check(answerRequest, request.body)
      const body = { approval: answerApproval(state, approvalOf(state, id), vote, reason) }
      return { status: 200, body }
    })
  const show = (request: SeenRequest, id: string): Answer => {
    authenticate(request, [workloadToken, operatorToken, `token-of.${state.approvals.get(id)?.task_id}`])
    check(approvalQuery, request.query)
    return { status: 200, body: approvalOf(state, id) }
  }
  const list = (request: SeenRequest): Answer => {
    authenticate(request, [workloadToken, operatorToken])
    const { state: wanted } = check(approvalsQuery, request.query)
    const approvals = [...state.approvals.values()].filter((one) => wanted === undefined || one.state === wanted)
    return { status: 200, body: { approvals, next_cursor: null } }
  }
  return [
    ['GET', /^\/v1\/approvals$/, list],
    ['GET', /^\/v1\/approvals\/([^/]+)$/, show],
    ['POST', /^\/v1\/approvals\/([^/]+)\/approve$/, answered('approve')],
    ['POST', /^\/v1\/approvals\/([^/]+)\/deny$/, answered('deny')],
  ]
}

function approvalOf(state: WireState, id: string) {
  const approval = state.approvals.get(id)
  if (approval === undefined) throw new Refusal(404, 'not_found', `no approval ${id}`)
  return approval
}

function openTask(state: WireState, request: SeenRequest): Answer {
  authenticate(request, [workloadToken, 'for.reviewer'])
  check(idempotencyKey, request.headers['idempotency-key'])
  const asked = check(openTaskRequest, request.body)
  const id = createId('task', Date.now())
  for (const one of asked.credentials ?? []) decide(state, one.action, one.resource)
  const opened = { opened_at: new Date().toISOString(), expires_at: inAnHour, ended_at: null }
  const who = { principal: 'ci:agent', account: 'ci:1', instance: null, parent: null, depth: 0 }
  const parent = asked.delegation === undefined ? {} : { parent: `of.${asked.delegation}`, depth: 1 }
  const task: Task = { id, ...who, ...parent, purpose: asked.purpose, state: 'open', outcome: null, ...opened }
  state.tasks.set(id, task)
  const approvals = (asked.credentials ?? []).flatMap((one) => wantApproval(state, id, one) ?? [])
  if (approvals.length > 0) return { status: 202, body: { task, task_token: `token-of.${id}`, approvals } }
  const credentials = asked.credentials?.map((one) => mint(state, id, one.action, one.resource))
  return { status: 201, body: { task, task_token: `token-of.${id}`, ...(credentials && { credentials }) } }
}

function requestCredential(state: WireState, request: SeenRequest, id: string): Answer {
  authenticate(request, [workloadToken])
  taskOf(state, id, request)
  const asked = check(credentialRequest, request.body)
  if (request.query.dry_run === 'true') {
    const effect = state.refused.has(asked.action) ? 'deny' : 'permit'
    return {
      status: 200,
      body: { decision: { id: createId('dec', Date.now()), effect, policies: ['p1'] }, ttl_seconds: 60 },
    }
  }
  check(idempotencyKey, request.headers['idempotency-key'])
  decide(state, asked.action, asked.resource)
  if (asked.approval_id) {
    const approval = approvalOf(state, asked.approval_id)
    const fits = approval.task_id === id && approval.action === asked.action && approval.resource === asked.resource
    if (approval.state === 'used') throw new Refusal(409, 'already_issued', `${approval.id} was used`)
    if (!fits || !['pending', 'approved'].includes(approval.state))
      throw new Refusal(403, 'approval_required', `${approval.id} is ${approval.state} or for another request`)
  }
  const wanting = wantApproval(state, id, asked)
  if (wanting !== null) return { status: 202, body: { approval: wanting } }
  return { status: 201, body: mint(state, id, asked.action, asked.resource) }
}

function completeTask(state: WireState, request: SeenRequest, id: string): Answer {
  const task = taskOf(state, id, request)
  check(waitQuery, request.query)
  const { outcome = 'succeeded' } = check(completeRequest, request.body)
  const ended: Task =
    task.state === 'ended' ? task : { ...task, state: 'ended', outcome, ended_at: new Date().toISOString() }
  state.tasks.set(id, ended)
  const receipts = [...state.leases.values()].filter((one) => one.task_id === id).map((one) => endLease(state, one))
  return { status: 200, body: { task: ended, receipts } }
}

function beat(state: WireState, request: SeenRequest, id: string): Answer {
  authenticate(request, [workloadToken])
  const task = taskOf(state, id, request)
  if (task.state === 'ended') throw new Refusal(409, 'task_closed', `${id} has ended`)
  return { status: 200, body: { task, next_before: inAnHour } }
}

/** Who may use it is the real broker's to know. */
function delegate(state: WireState, request: SeenRequest, id: string): Answer {
  authenticate(request, [workloadToken])
  taskOf(state, id, request)
  const { agent } = check(delegationRequest, request.body)
  const delegation = { id: createId('dlg', Date.now()), expires_at: inAnHour }
  return { status: 201, body: { delegation, ...(agent !== undefined && { delegation_token: `for.${agent}` }) } }
}

function whoami(request: SeenRequest): Answer {
  authenticate(request, [workloadToken])
  const who = { id: 'ci:agent', use: 'workload', issuer: 'ci', subject: 'agent', account: 'ci:1', instance: 'run-1' }
  const rest = { attributes: {}, binding: 'none', person: null, token_expires_at: inAnHour }
  return { status: 200, body: { ...who, ...rest } }
}

function listTasks(state: WireState, request: SeenRequest): Answer {
  authenticate(request, [workloadToken, operatorToken])
  const { state: wanted } = check(taskQuery, request.query)
  const tasks = [...state.tasks.values()].filter((one) => wanted === undefined || one.state === wanted)
  return { status: 200, body: { tasks, next_cursor: null } }
}

function listLeases(state: WireState, request: SeenRequest): Answer {
  authenticate(request, [operatorToken])
  const filter = check(leaseQuery, request.query)
  const leases = [...state.leases.values()].filter((one) => filter.action === undefined || one.action === filter.action)
  return { status: 200, body: { leases, next_cursor: null } }
}

function decide(state: WireState, action: string, resource: string): void {
  const code = state.refused.get(action)
  const decision = { id: createId('dec', Date.now()), effect: 'deny', policies: [] }
  if (code !== undefined)
    throw new Refusal(403, code, `no policy permits ${action} on ${resource}`, { reason: 'no_permit', decision })
  if (!state.offers.has(action)) throw new Refusal(404, 'unknown_action', `no grant is called ${action}`)
}

function mint(state: WireState, taskId: string, action: string, resource: string) {
  const { credential, env } = state.offers.get(action) as Offer
  const lease: Lease = {
    ...{ id: createId('lease', Date.now()), task_id: taskId, principal: 'ci:agent', account: 'ci:1', action },
    ...{ access: 'read', resource, provider: 'p', state: 'active', revocation: 'immediate', issued_at: inAnHour },
    ...{ expires_at: inAnHour, provider_expires_at: inAnHour, provider_ref: null, follows: null, ended_at: null },
    ...{ end_reason: null, receipt: null },
  }
  state.leases.set(lease.id, lease)
  const decision = { id: createId('dec', Date.now()), effect: 'permit', policies: ['p1'] }
  return { lease, credential, decision, ...(env && { env }) }
}

function endLease(state: WireState, lease: Lease): Receipt {
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

/** Another's task is as unknown as none: a 404. */
function taskOf(state: WireState, id: string, request: SeenRequest): Task {
  authenticate(request, [workloadToken, operatorToken, `token-of.${id}`])
  const task = state.tasks.get(id)
  if (task === undefined) throw new Refusal(404, 'not_found', `no task ${id}`)
  return task
}

function leaseOf(state: WireState, id: string, request: SeenRequest): Lease {
  const lease = state.leases.get(id)
  authenticate(request, [workloadToken, operatorToken, `token-of.${lease?.task_id}`])
  if (lease === undefined) throw new Refusal(404, 'not_found', `no lease ${id}`)
  return lease
}

function authenticate(request: SeenRequest, tokens: string[]): void {
  if (tokens.some((token) => request.headers.authorization === `Bearer ${token}`)) return
  throw new Refusal(401, 'invalid_token', 'the token is not one that we know')
}

function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }))
  throw new Refusal(400, 'invalid_request', `${errors[0]?.field}: ${errors[0]?.message}`, { errors })
}
