// What a route is. Every route says who may call it: `public` must be written.
import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import type { Parts } from '../broker/parts.js'
import type { Principal } from '../identity/principal.js'
import type { Answer } from './problem.js'

/**
 * public: nobody is asked. workload: a subject token. owner: the task token, or a subject token of the task's owner.
 * operator: an operators' token. owner_or_operator: either. caller: any subject token (introspection).
 */
export type Access = 'public' | 'workload' | 'owner' | 'operator' | 'owner_or_operator' | 'caller'

/** Who came in: a verified principal, or the bearer of the token of one task. */
export type Identity =
  | {
      readonly kind: 'principal'
      readonly principal: Principal
      readonly requestId: string
      readonly taskToken: string | null
      /** Whether the request was counted by its account's rate. */
      readonly rate: { isCounted: boolean }
    }
  | { readonly kind: 'task'; readonly task: string; readonly requestId: string }
  | { readonly kind: 'nobody'; readonly requestId: string }

export interface Exchange<Q, B> {
  readonly parts: Parts
  readonly identity: Identity
  readonly params: readonly string[]
  readonly query: Q
  readonly body: B
  readonly headers: IncomingMessage['headers']
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** `:name` stands for one segment. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  /** Refusals of authenticated callers here are audited: this route mints or opens. */
  readonly mints?: boolean
  /** Reads the header `Idempotency-Key`. */
  readonly takesIdempotencyKey?: boolean
  /** Answers with server-sent events, too, to whoever accepts them. */
  readonly tellsEvents?: boolean
  readonly query?: z.ZodType
  /** `form`: application/x-www-form-urlencoded, as OAuth has it. */
  readonly body?: z.ZodType
  readonly form?: z.ZodType
  /** Where a JSON body may be larger than others: for callers who are known before it is read. */
  readonly maxBodyBytes?: number
  readonly answer?: z.ZodType
  /** Of an answer that is no JSON. */
  readonly type?: string
  readonly oauth?: boolean
  /** What is refused before whatever the path names is looked for: the catalogue and what it says of the body. */
  check?(parts: Parts, body: unknown): void
  run(exchange: Exchange<unknown, unknown>): Promise<Answer>
}

interface TypedRoute<Q extends z.ZodType, B extends z.ZodType>
  extends Omit<Route, 'run' | 'check' | 'query' | 'body' | 'form'> {
  readonly query?: Q
  readonly body?: B
  readonly form?: B
  check?(parts: Parts, body: z.output<B>): void
  run(exchange: Exchange<z.output<Q>, z.output<B>>): Promise<Answer>
}

/** A route whose `check` and `run` see its query and body as its schemas type them. */
export function route<Q extends z.ZodType, B extends z.ZodType>(typed: TypedRoute<Q, B>): Route {
  // Sound: dispatch hands them nothing but what these same schemas returned.
  return typed as unknown as Route
}
