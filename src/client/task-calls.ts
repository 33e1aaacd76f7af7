// The calls of whoever works: tasks, what is bought in them, and what they hand on. None of those that mint is ever repeated: what
// a lost answer held was shown once and is gone.
import type { z } from 'zod'
import { type CredentialAnswer, credentialAnswer, dryRunAnswer } from '../api/credentials.js'
import { type DelegationAnswer, delegationAnswer, type delegationRequest } from '../api/delegations.js'
import { type GrantList, grantList, type grantQuery } from '../api/grants.js'
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
import {
  besideSubject,
  type Caller,
  type MintOptions,
  mintHeaders,
  type OpenTask,
  type Paged,
  type Query,
  type RequestCredential,
  type TaskAuth,
} from './call.js'

export type TaskFilter = Paged<z.input<typeof taskQuery>>
export type Delegate = z.input<typeof delegationRequest>
export type Outcome = NonNullable<z.infer<typeof completeRequest>['outcome']>
export type DryRun = z.infer<typeof dryRunAnswer>
export type GrantFilter = Paged<z.input<typeof grantQuery>>

export interface TaskCalls {
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
}

export function taskCalls(call: Caller): TaskCalls {
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
