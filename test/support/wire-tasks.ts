// Tasks and credentials, as the small broker of the clients' tests keeps them.
import { credentialRequest } from '../../src/api/credentials.js'
import { delegationRequest } from '../../src/api/delegations.js'
import { idempotencyKey } from '../../src/api/fields.js'
import { type Lease, waitQuery } from '../../src/api/leases.js'
import { completeRequest, openTaskRequest, type Task, taskQuery } from '../../src/api/tasks.js'
import { createId } from '../../src/core/ids.js'
import { type Answer, authenticate, check, Refusal, type Route } from './wire-answers.js'
import { approvalOf, wantApproval } from './wire-approvals.js'
import { endLease } from './wire-leases.js'
import { inAnHour, type Offer, operatorToken, type SeenRequest, type WireState, workloadToken } from './wire-state.js'

export function taskRoutes(state: WireState): Route[] {
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

/** Another's task is as unknown as none: a 404. */
function taskOf(state: WireState, id: string, request: SeenRequest): Task {
  authenticate(request, [workloadToken, operatorToken, `token-of.${id}`])
  const task = state.tasks.get(id)
  if (task === undefined) throw new Refusal(404, 'not_found', `no task ${id}`)
  return task
}
