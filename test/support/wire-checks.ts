// What the attacking tests assert of every answer, and what they look at beside it: the ledger in Redis, raw sockets.
import { connect } from 'node:net'
import { expect } from '@jest/globals'
import { Redis } from 'ioredis'
import type { Answer } from '../../scripts/demo/http-call.js'
import type { Stack } from './stack.js'

export interface Refused {
  readonly status: number
  readonly code: string
  /** The field that `errors` must name first. */
  readonly field?: string
  readonly detail?: RegExp
  readonly retryAfter?: boolean
}

/** A problem as RFC 9457 and section 4 have it, with nothing in it that a caller must not see. */
export function expectProblem(answer: Answer, wanted: Refused): void {
  const seen = { status: answer.status, code: answer.body.code, field: firstField(answer), detail: answer.body.detail }
  expect(seen).toMatchObject({
    status: wanted.status,
    code: wanted.code,
    ...(wanted.field === undefined ? {} : { field: wanted.field }),
    detail: expect.stringMatching(wanted.detail ?? /\w/),
  })
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.headers['x-request-id']).toMatch(/^req_[0-9a-z]{26}$/)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.body).toMatchObject({ type: 'about:blank', title: expect.any(String), status: wanted.status })
  if (wanted.retryAfter === true) expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expectNothingInternal(answer.text)
}

/** No stack trace, no path of ours, no Redis or Lua error, no token. */
export function expectNothingInternal(text: string): void {
  expect(text).not.toMatch(/\n\s+at |node:internal|\.[jt]s:\d|node_modules|ECONN|WRONGTYPE|user_script|ReplyError/)
  expect(text).not.toMatch(/eyJ[A-Za-z0-9_-]{20,}/)
}

/**
 * No request ended in a 5xx and nothing was logged as an error, whatever was sent. The stack's own probes aside: until the
 * programs serve, /readyz rightly says 503.
 */
export function expectNoFailureLogged(logged: string): void {
  const lines = logged.split('\n').filter((line) => !line.includes('"route":"GET /readyz","status":503'))
  expect(lines.filter((line) => /"status":5\d\d|UnhandledPromiseRejection|"level":[56]0/.test(line))).toEqual([])
}

function firstField(answer: Answer): unknown {
  const errors = answer.body.errors
  return Array.isArray(errors) ? (errors[0] as { field?: unknown }).field : undefined
}

/** What stands in the ledger, read past Hallpass. */
export interface LedgerView {
  readonly redis: Redis
  /** With the ledger's tag in front: `key('locked')`. */
  key(name: string): string
  keysOf(pattern: string): Promise<string[]>
  leaseIds(): Promise<string[]>
  taskIds(): Promise<string[]>
  state(lease: string): Promise<string | null>
  /** Everything that the ledger still looks after, over all providers. */
  due(): Promise<string[]>
  close(): void
}

export function lookIntoLedger({ redis: { lookAt, prefix } }: Pick<Stack, 'redis'>): LedgerView {
  const redis = new Redis(lookAt, { maxRetriesPerRequest: null })
  redis.on('error', () => {})
  const key = (name: string) => `{${prefix}}:${name}`
  const keysOf = async (pattern: string) => (await redis.keys(key(pattern))).sort()
  const ids = async (kind: string, shape: RegExp) =>
    (await keysOf(`${kind}:*`)).map((name) => name.slice(key(`${kind}:`).length)).filter((id) => shape.test(id))
  return {
    redis,
    key,
    keysOf,
    leaseIds: () => ids('l', /^lease_[0-9a-z]{26}$/),
    taskIds: () => ids('t', /^task_[0-9a-z]{26}$/),
    state: (lease) => redis.hget(key(`l:${lease}`), 'state'),
    async due() {
      const indexes = (await keysOf('due:*')).filter((name) => !/:(tasks|revocations|locks)$/.test(name))
      return (await Promise.all(indexes.map((index) => redis.zrange(index, '0', '-1')))).flat()
    },
    close: () => redis.disconnect(),
  }
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Record<string, unknown>
  readonly text: string
}

/** Writes these bytes to the broker's port and reads until it closes, or `quietMs` after its last word: a busy machine pauses in between. */
export async function sendRaw(url: string, bytes: string | Buffer, quietMs = 3000): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  let text = ''
  let quiet: NodeJS.Timeout | undefined
  socket.setEncoding('utf8').on('data', (more: string) => {
    text += more
    clearTimeout(quiet)
    quiet = setTimeout(() => socket.destroy(), quietMs)
  })
  // A broker that refuses early may reset the connection while we still write: what it said before counts.
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const late = setTimeout(() => socket.destroy(), 15_000)
  socket.write(bytes)
  await closed
  clearTimeout(late)
  clearTimeout(quiet)
  return parseRaw(text)
}

function parseRaw(text: string): RawAnswer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const body = rest.join('\r\n\r\n')
  let parsed: Record<string, unknown> = {}
  try {
    parsed = JSON.parse(body) as Record<string, unknown>
  } catch {
    // Not every answer has a body; what should have one is asserted by its members.
  }
  return { status: Number(first.split(' ')[1] ?? 0), headers, body: parsed, text }
}

/** Asks again until it holds. Throws with what was seen last. The time is for what never comes: a busy machine may take long. */
export async function until<T>(look: () => Promise<T> | T, holds: (seen: T) => boolean, seconds = 30): Promise<T> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const seen = await look()
    if (holds(seen)) return seen
    if (performance.now() > end)
      throw new Error(`not within ${seconds} s; last seen: ${JSON.stringify(seen)?.slice(0, 2000)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export interface OpenedTask {
  readonly id: string
  readonly token: string
  readonly path: string
}

/** A task of the caller's with nothing in it. */
export async function openTask(stack: Stack, token: string, fields: object = {}): Promise<OpenedTask> {
  const { status, body, text } = await stack.call('POST', '/v1/tasks', {
    token,
    body: { purpose: 'a test', ...fields },
  })
  if (status !== 201) throw new Error(`no task: ${text}`)
  const { id } = body.task as { id: string }
  return { id, token: String(body.task_token), path: `/v1/tasks/${id}` }
}

export interface Bought {
  readonly lease: string
  readonly secret: string
  readonly credential: Record<string, unknown>
  readonly expiresAt: number
}

/** One credential in the task; throws with the answer when it was refused. */
export async function buy(stack: Stack, token: string, task: OpenedTask, asked: object): Promise<Bought> {
  const answer = await stack.call('POST', `${task.path}/credentials`, { token, body: asked })
  if (answer.status !== 201) throw new Error(`no credential: ${answer.text}`)
  return boughtOf(answer)
}

export function boughtOf({ body }: Answer): Bought {
  const credential = body.credential as Record<string, unknown>
  const lease = body.lease as { id: string; expires_at: string }
  const data = (credential.data ?? {}) as { password?: string }
  return {
    lease: lease.id,
    secret: String(credential.token ?? data.password),
    credential,
    expiresAt: Date.parse(lease.expires_at),
  }
}

/** What RFC 7662 says of a token, asked by the given caller. */
export async function introspect(stack: Stack, caller: string, token: string): Promise<Record<string, unknown>> {
  return (await stack.call('POST', '/oauth/introspect', { token: caller, form: { token } })).body
}

export const report = { action: 'report.read', resource: 'repo:acme/web' }
