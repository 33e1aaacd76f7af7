// The calls of design section 4, typed. It trusts nothing of an answer before the wire's own schemas have read it, and
// it never repeats a call that mints: what a lost answer held was shown once and is gone.
import type { z } from 'zod'
import { type CredentialAnswer, credentialAnswer, dryRunAnswer } from '../api/credentials.js'
import { type DelegationAnswer, delegationAnswer, type delegationRequest } from '../api/delegations.js'
import { type GrantList, grantList, type grantQuery } from '../api/grants.js'
import {
  type Lease,
  lease,
  leaseAnswer,
  leaseList,
  type leaseQuery,
  type Receipt,
  releaseAnswer,
} from '../api/leases.js'
import { type Lock, lock, lockList, type lockRequest } from '../api/locks.js'
import {
  type Revocation,
  type RevocationAnswer,
  revocation,
  revocationAnswer,
  type revocationRequest,
} from '../api/revocations.js'
import {
  type CompleteAnswer,
  completeAnswer,
  type completeRequest,
  type HeartbeatAnswer,
  heartbeatAnswer,
  type OpenTaskAnswer,
  openTaskAnswer,
  openTaskDryRun,
  type Task,
  task,
  taskList,
  type taskQuery,
} from '../api/tasks.js'
import { type WhoAmI, whoami } from '../api/whoami.js'
import { parseAnswer } from './answer.js'
import { type ApprovalCalls, approvalCalls } from './approval-calls.js'
import {
  besideSubject,
  type Call,
  type Caller,
  type MintOptions,
  mintHeaders,
  type OpenTask,
  type Paged,
  type Query,
  type RequestCredential,
  type TaskAuth,
} from './call.js'
import type { ClientCertificateSource } from './client-certificate.js'
import { ClientError } from './client-error.js'
import { createDpopSender, type DpopKey, sendAsBearer } from './dpop.js'
import { callHttp, type HttpCall, parseServiceUrl } from './http-json.js'
import { type PolicyCalls, policyCalls } from './policy-calls.js'
import type { SubjectTokenSource } from './subject-token-source.js'
import { type TimelineCalls, timelineCalls } from './timeline-calls.js'

export type TaskFilter = Paged<z.input<typeof taskQuery>>
export type LeaseSearch = Paged<z.input<typeof leaseQuery>>
export type OrderRevocation = z.input<typeof revocationRequest>
export type SetLock = z.input<typeof lockRequest>
export type Delegate = z.input<typeof delegationRequest>
export type Outcome = NonNullable<z.infer<typeof completeRequest>['outcome']>
export type DryRun = z.infer<typeof dryRunAnswer>
export type GrantFilter = Paged<z.input<typeof grantQuery>>

export interface BrokerClientOptions {
  /** https, or http on loopback. A path in front is kept. */
  url: string
  /** PEM of the only roots to trust; the system's when absent. */
  ca?: string
  /** Absent: the certificate says who we are. */
  tokenSource?: SubjectTokenSource | undefined
  /** An X.509-SVID for the connection, instead of a token or beside it. */
  certificate?: ClientCertificateSource | undefined
  /** Shows the subject token with proofs by this key (RFC 9449), and pins the tasks that it opens to it. */
  dpop?: DpopKey | undefined
  /** For one whole call, on top of what the call itself asks to wait. Default 30 s. */
  timeoutMs?: number
  /** Default 8 MiB. */
  maxAnswerBytes?: number
}

export interface BrokerClient extends ApprovalCalls, PolicyCalls, TimelineCalls {
  openTask(request: OpenTask, options?: MintOptions): Promise<OpenTaskAnswer>
  requestCredential(
    taskId: string,
    request: RequestCredential,
    options?: MintOptions & TaskAuth,
  ): Promise<CredentialAnswer>
  /** What would be decided of a task's credentials, in their order; opens none. */
  dryRunTask(request: OpenTask): Promise<DryRun[]>
  /** What may be asked for; with a resource also whether we may. */
  listGrants(filter?: GrantFilter): Promise<GrantList>
  /** What would be decided; mints nothing. */
  dryRunCredential(taskId: string, request: RequestCredential, auth?: TaskAuth): Promise<DryRun>
  /** Hands a part of what the task may do to one delegate, for one child task. */
  delegateTask(taskId: string, request: Delegate, auth?: TaskAuth): Promise<DelegationAnswer>
  /** Ends the task and all below it; idempotent. Waits up to `waitSeconds` (at most 60) for receipts. */
  completeTask(
    taskId: string,
    options?: TaskAuth & { outcome?: Outcome; waitSeconds?: number },
  ): Promise<CompleteAnswer>
  /** Shows that the work goes on, for a task opened with `heartbeat_seconds`. Takes the subject token: a task token only shrinks. */
  heartbeat(taskId: string, auth?: TaskAuth): Promise<HeartbeatAnswer>
  showTask(taskId: string, auth?: TaskAuth): Promise<Task>
  listTasks(filter?: TaskFilter): Promise<z.infer<typeof taskList>>
  showLease(leaseId: string, auth?: TaskAuth): Promise<Lease>
  listLeases(search?: LeaseSearch): Promise<z.infer<typeof leaseList>>
  /** Idempotent. The broker waits a few seconds for the receipt by itself; repeat it while the receipt is `pending`. */
  releaseLease(leaseId: string, auth?: TaskAuth): Promise<Receipt>
  createRevocation(order: OrderRevocation): Promise<RevocationAnswer>
  showRevocation(id: string, options?: { cursor?: string; waitSeconds?: number }): Promise<Revocation>
  retryLease(leaseId: string, reason?: string): Promise<Lease>
  abandonLease(leaseId: string, reason: string): Promise<Lease>
  setLock(order: SetLock): Promise<Lock>
  listLocks(page?: { limit?: string | undefined; cursor?: string | undefined }): Promise<z.infer<typeof lockList>>
  removeLock(id: string): Promise<Lock>
  /** What the broker verified of us. */
  whoami(): Promise<WhoAmI>
}

/** Throws ClientError at once for an unusable URL; every call throws ClientError and nothing else. */
export function createBrokerClient(options: BrokerClientOptions): BrokerClient {
  const base = parseServiceUrl(options.url, 'the broker URL')
  checkIdentity(options, base)
  const sendAsSubject = options.dpop === undefined ? sendAsBearer : createDpopSender(options.dpop)

  async function call<Schema extends z.ZodType>(wanted: Call<Schema>): Promise<z.infer<Schema>> {
    const token = wanted.taskToken ?? (await options.tokenSource?.read())
    const send = wanted.taskToken === undefined ? sendAsSubject : sendAsBearer
    const certificate = await options.certificate?.()
    const wire: HttpCall = {
      method: wanted.method,
      url: urlOf(base, wanted.path, { ...wanted.query, wait_seconds: wanted.waitSeconds }),
      ...(wanted.headers === undefined ? {} : { headers: wanted.headers }),
      ...(wanted.body === undefined ? {} : { body: wanted.body }),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...(certificate === undefined ? {} : { certificate }),
      ...(wanted.signal === undefined ? {} : { signal: wanted.signal }),
      timeoutMs: (options.timeoutMs ?? 30_000) + (wanted.waitSeconds ?? 0) * 1000,
      maxBytes: options.maxAnswerBytes ?? 8 * 1024 * 1024,
    }
    const answer = await (token === undefined ? callHttp(wire) : send(wire, token))
    return parseAnswer(answer, wanted.expect, base.origin, wanted.takesApprovals)
  }

  const identity = { whoami: () => call({ method: 'GET', path: ['whoami'], expect: whoami }) }
  return {
    ...taskCalls(call),
    ...timelineCalls(call),
    ...leaseCalls(call),
    ...operatorCalls(call),
    ...lockCalls(call),
    ...approvalCalls(call),
    ...identity,
    ...policyCalls(call),
  }
}

function checkIdentity({ tokenSource, certificate, dpop }: BrokerClientOptions, base: URL): void {
  const wrong = (detail: string) => new ClientError('invalid_configuration', detail)
  if (certificate !== undefined && base.protocol !== 'https:') {
    throw wrong('a client certificate needs an https:// broker URL')
  }
  if (tokenSource !== undefined) return
  if (certificate === undefined) throw wrong('expected a token source or a client certificate')
  if (dpop !== undefined) throw wrong('DPoP needs a token: a client certificate is a proof of its own')
}

function taskCalls(call: Caller) {
  return {
    openTask: (request: OpenTask, options: MintOptions = {}) =>
      call({ method: 'POST', path: ['tasks'], expect: openTaskAnswer, body: request, headers: mintHeaders(options) }),
    requestCredential: (taskId: string, request: RequestCredential, options: MintOptions & TaskAuth = {}) =>
      call({
        method: 'POST',
        path: ['tasks', taskId, 'credentials'],
        expect: credentialAnswer,
        body: request,
        headers: { ...mintHeaders(options), ...besideSubject(options) },
      }),
    dryRunTask: async (request: OpenTask) => {
      const query = { dry_run: 'true' }
      return (await call({ method: 'POST', path: ['tasks'], expect: openTaskDryRun, query, body: request })).decisions
    },
    listGrants: (filter: GrantFilter = {}) =>
      call({ method: 'GET', path: ['grants'], expect: grantList, query: filter as Query }),
    dryRunCredential: (taskId: string, request: RequestCredential, auth: TaskAuth = {}) =>
      call({
        method: 'POST',
        path: ['tasks', taskId, 'credentials'],
        query: { dry_run: 'true' },
        expect: dryRunAnswer,
        body: request,
        headers: besideSubject(auth),
      }),
    delegateTask: (taskId: string, request: Delegate, auth: TaskAuth = {}) =>
      call({
        method: 'POST',
        path: ['tasks', taskId, 'delegations'],
        expect: delegationAnswer,
        body: request,
        headers: besideSubject(auth),
      }),
    completeTask: (taskId: string, options: TaskAuth & { outcome?: Outcome; waitSeconds?: number } = {}) =>
      call({
        method: 'POST',
        path: ['tasks', taskId, 'complete'],
        expect: completeAnswer,
        body: options.outcome === undefined ? {} : { outcome: options.outcome },
        taskToken: options.taskToken,
        waitSeconds: options.waitSeconds,
      }),
    heartbeat: (taskId: string, auth: TaskAuth = {}) =>
      call({
        method: 'POST',
        path: ['tasks', taskId, 'heartbeat'],
        expect: heartbeatAnswer,
        headers: besideSubject(auth),
      }),
    showTask: (taskId: string, auth: TaskAuth = {}) =>
      call({ method: 'GET', path: ['tasks', taskId], expect: task, taskToken: auth.taskToken }),
    listTasks: (filter: TaskFilter = {}) =>
      call({ method: 'GET', path: ['tasks'], expect: taskList, query: filter as Query }),
  }
}

function leaseCalls(call: Caller) {
  return {
    showLease: (leaseId: string, auth: TaskAuth = {}) =>
      call({ method: 'GET', path: ['leases', leaseId], expect: lease, taskToken: auth.taskToken }),
    listLeases: (search: LeaseSearch = {}) =>
      call({ method: 'GET', path: ['leases'], expect: leaseList, query: search as Query }),
    releaseLease: async (leaseId: string, auth: TaskAuth = {}) => {
      const answer = await call({
        method: 'DELETE',
        path: ['leases', leaseId],
        expect: releaseAnswer,
        taskToken: auth.taskToken,
      })
      return answer.receipt
    },
  }
}

function operatorCalls(call: Caller) {
  return {
    createRevocation: (order: OrderRevocation) =>
      call({ method: 'POST', path: ['revocations'], expect: revocationAnswer, body: order }),
    showRevocation: (id: string, options: { cursor?: string; waitSeconds?: number } = {}) =>
      call({
        method: 'GET',
        path: ['revocations', id],
        expect: revocation,
        query: { cursor: options.cursor },
        waitSeconds: options.waitSeconds,
      }),
  }
}

function lockCalls(call: Caller) {
  const decide = async (leaseId: string, what: 'retry' | 'abandon', body: object) =>
    (await call({ method: 'POST', path: ['leases', leaseId, what], expect: leaseAnswer, body })).lease
  return {
    retryLease: (leaseId: string, reason?: string) => decide(leaseId, 'retry', reason === undefined ? {} : { reason }),
    abandonLease: (leaseId: string, reason: string) => decide(leaseId, 'abandon', { reason }),
    setLock: (order: SetLock) => call({ method: 'POST', path: ['locks'], expect: lock, body: order }),
    listLocks: (page: { limit?: string | undefined; cursor?: string | undefined } = {}) =>
      call({ method: 'GET', path: ['locks'], expect: lockList, query: page }),
    removeLock: (id: string) => call({ method: 'DELETE', path: ['locks', id], expect: lock }),
  }
}

function urlOf(base: URL, path: readonly string[], query: Query): URL {
  const url = new URL(base)
  url.pathname = [base.pathname.replace(/\/+$/, ''), 'v1', ...path.map(encodeURIComponent)].join('/')
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.append(name, String(value))
  }
  return url
}
