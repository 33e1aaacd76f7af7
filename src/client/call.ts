// What the groups of calls are written with: broker-client.ts makes it, each group uses it.
import { randomUUID } from 'node:crypto'
import type { z } from 'zod'
import type { credentialRequest } from '../api/credentials.js'
import type { openTaskRequest } from '../api/tasks.js'
import type { HttpCall } from './http-json.js'

export type OpenTask = z.input<typeof openTaskRequest>
export type RequestCredential = z.input<typeof credentialRequest>
/** A page's size may be given as the number that it is. */
export type Paged<Q extends { limit?: string | undefined }> = Omit<Q, 'limit'> & { limit?: number | string | undefined }

/** Calls that a task token alone may make use it when it is given, else the subject token. */
export interface TaskAuth {
  taskToken?: string | undefined
}
export interface MintOptions {
  /** Default: a new random one per call. */
  idempotencyKey?: string | undefined
}

export type Query = Record<string, string | number | undefined>
export type Call<Schema extends z.ZodType> = {
  method: HttpCall['method']
  path: readonly string[]
  expect: Schema
  query?: Query
  body?: unknown
  headers?: Record<string, string>
  taskToken?: string | undefined
  waitSeconds?: number | undefined
  /** Whether `expect` also reads the 202 of a request that people have to approve; else that is an error. */
  takesApprovals?: boolean
  /** Breaks the call off; it then fails as `unavailable`. */
  signal?: AbortSignal | undefined
}

export type Caller = <Schema extends z.ZodType>(wanted: Call<Schema>) => Promise<z.infer<Schema>>

/** What a call that mints carries beside its body. */
export function mintHeaders(options: MintOptions): Record<string, string> {
  return { 'idempotency-key': options.idempotencyKey ?? randomUUID() }
}

/** A task token never mints: it goes beside the subject token, for issuers that ask for it (`task_token: required`). */
export function besideSubject(auth: TaskAuth): Record<string, string> {
  return auth.taskToken === undefined ? {} : { 'hallpass-task-token': auth.taskToken }
}
