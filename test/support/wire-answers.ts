// What every route of the clients' tests' small broker does: it answers, refuses, and takes nothing that the contract's own schemas
// refuse.
import type { z } from 'zod'
import type { SeenRequest } from './wire-state.js'

export type Answer = { status: number; body: unknown }
export type Route = [method: string, pattern: RegExp, story: (request: SeenRequest, id: string) => Answer]

export class Refusal extends Error {
  readonly status: number
  readonly body: Record<string, unknown>
  constructor(status: number, code: string, detail: string, members: object = {}) {
    super(detail)
    this.status = status
    this.body = { type: 'about:blank', title: code, status, code, detail, ...members }
  }
}

export function authenticate(request: SeenRequest, tokens: string[]): void {
  if (tokens.some((token) => request.headers.authorization === `Bearer ${token}`)) return
  throw new Refusal(401, 'invalid_token', 'the token is not one that we know')
}

export function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }))
  throw new Refusal(400, 'invalid_request', `${errors[0]?.field}: ${errors[0]?.message}`, { errors })
}
