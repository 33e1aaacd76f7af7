// One request through its route: who is it, what does it ask, what comes of it; one event written at the end.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { withoutPastedTokens } from '../audit/pasted-tokens.js'
import type { Caller } from '../broker/parts.js'
import { recordRefusal } from '../broker/record-refusal.js'
import { countRequest } from '../broker/request-rate.js'
import { notFound } from '../broker/task-access.js'
import { BrokerError, invalidField } from '../core/errors.js'
import { createId, type IdPrefix, isId } from '../core/ids.js'
import { callerOf } from './access.js'
import { type Authenticator, authenticate, NotPermitted } from './authenticate.js'
import { type Answer, isCallersFault, oauthErrorAnswer, problemAnswer, type writeAnswer } from './problem.js'
import { checkContentType, decodeUtf8, readBody, readJson, readQuery } from './read-request.js'
import type { Identity, Route } from './route.js'

export interface Dispatcher extends Authenticator {
  /** Counts refusals that are not written down one by one. `account`: whose; absent where nobody vouches for the caller. */
  noteRefusedCaller(reason: string, account?: string): void
  readonly answers: { readonly write: typeof writeAnswer }
}

const noQuery = z.strictObject({})

/** A request at its route: `params` are what the path's patterns took, in order. */
interface Call {
  readonly route: Route
  readonly params: readonly string[]
  readonly request: IncomingMessage
  readonly requestId: string
}

/** Answers one request. Never throws: what went wrong is the answer. */
export async function dispatch(
  on: Dispatcher,
  route: Route,
  params: string[],
  request: IncomingMessage,
  response: ServerResponse,
) {
  const startedAt = on.parts.clock.monotonic()
  const requestId = createId('req', on.parts.clock.now())
  const event: RequestEvent = { request_id: requestId, route: `${route.method} ${route.path}`, status: 500 }
  try {
    const answer = await answerOf(on, { route, params, request, requestId }, event)
    event.status = answer.status
    on.answers.write(response, answer, requestId)
  } finally {
    const ms = on.parts.clock.monotonic() - startedAt
    on.parts.metrics.requests.inc({ route: event.route, status: String(event.status) })
    on.parts.metrics.requestSeconds.observe({ route: event.route }, ms / 1000)
    on.parts.log[levelOf(event, route)]({ ...event, ms: Math.round(ms * 10) / 10 }, 'request')
  }
}

/** A probe that answers "not ready" has failed at nothing: who starts a broker and waits for it must not be paged. */
function levelOf({ status, code }: RequestEvent, { access }: Route) {
  if (status >= 500) return access === 'public' && code === undefined ? 'warn' : 'error'
  return access === 'public' ? 'debug' : 'info'
}

interface RequestEvent {
  request_id: string
  route: string
  status: number
  principal?: string
  code?: string
  err?: unknown
}

async function answerOf(on: Dispatcher, call: Call, event: RequestEvent): Promise<Answer> {
  const { route, params, request, requestId } = call
  let identity: Identity = { kind: 'nobody', requestId }
  try {
    identity = await authenticate(on, request, route.access, requestId)
    if (identity.kind === 'principal') event.principal = identity.principal.id
    const search = (request.url ?? '').replace(/^[^?]*\??/, '')
    const query = readQuery(search, route.query ?? noQuery)
    const body = await readRouteBody(route, request)
    route.check?.(on.parts, body)
    checkIds(route, params)
    return await route.run({ parts: on.parts, identity, params, query, body, headers: request.headers })
  } catch (error) {
    if (error instanceof NotPermitted) identity = error.identity
    const told = await recordRefused(on, call, identity, error)
    event.code = told instanceof BrokerError ? told.code : 'internal'
    if (!(told instanceof BrokerError) || event.code === 'internal' || told.cause !== undefined) event.err = told
    return route.oauth ? oauthErrorAnswer(told) : problemAnswer(told)
  }
}

/** Counts and writes down what an authenticated caller was refused. Where the audit is down that is what the caller is told. */
async function recordRefused(
  on: Dispatcher,
  { route, params }: Call,
  identity: Identity,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof BrokerError)) return error
  if (error.code === 'invalid_token') on.noteRefusedCaller(reasonOf(error.detail))
  if (identity.kind !== 'principal') return error
  const caller = callerOf(identity)
  const instead = await countRefused(on, caller, error)
  if (instead !== null) return instead
  if (!(route.mints || error instanceof NotPermitted)) return error
  try {
    await recordRefusal(on.parts, caller, params[0] ?? null, error)
    return error
  } catch (auditFailure) {
    return auditFailure
  }
}

/**
 * Each refusal counts by the account's rate, whatever it is for. Null: it may be written down. Otherwise what the caller is told
 * of one that is only counted, since nobody may fill the audit: past the rate, and while the ledger cannot say how many there were.
 */
async function countRefused(on: Dispatcher, caller: Caller, error: BrokerError): Promise<BrokerError | null> {
  const note = (reason: string) => on.noteRefusedCaller(reason, caller.principal.account)
  if (error.code === 'rate') {
    note('rate')
    return error
  }
  if (!isCallersFault(error)) return null
  try {
    await countRequest(on.parts, caller)
    return null
  } catch (failure) {
    const isOver = failure instanceof BrokerError && failure.code === 'rate'
    note(isOver ? 'rate' : error.code)
    return isOver ? endingAs(failure, error) : error
  }
}

/** What is left of an over-long body is not read, whatever the answer says. */
const endingAs = (over: BrokerError, { code }: BrokerError) =>
  code !== 'too_large'
    ? over
    : new BrokerError(over.code, over.detail, {
        retryAfterSeconds: over.retryAfterSeconds ?? 60,
        headers: { connection: 'close' },
      })

/** What stands before the caller's own values, without numbers: few enough to be counted by. */
const reasonOf = (detail: string) =>
  (detail.split(/[:"(]/, 1)[0] ?? '').replace(/\d+/g, 'n').trim().slice(0, 60) || 'refused'

const prefixes: Readonly<Record<string, IdPrefix>> = {
  tasks: 'task',
  leases: 'lease',
  revocations: 'rev',
  locks: 'lock',
  approvals: 'appr',
}

/** What is not an id is not there. Ids become parts of key names, so nothing else may get that far. */
function checkIds(route: Route, params: readonly string[]): void {
  const [, , collection = ''] = route.path.split('/')
  const prefix = prefixes[collection]
  for (const id of params) {
    if (prefix === undefined || !isId(prefix, id)) throw notFound(collection.replace(/s$/, '') || 'thing')
  }
}

async function readRouteBody(route: Route, request: IncomingMessage): Promise<unknown> {
  if (route.body) return withoutPastedTokens(await readJson(request, route.body, route.maxBodyBytes))
  if (route.form) {
    checkContentType(
      request,
      /^application\/x-www-form-urlencoded\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i,
      'application/x-www-form-urlencoded',
    )
    return readQuery(decodeUtf8(await readBody(request)), route.form)
  }
  if (route.method !== 'GET' && (await readBody(request)).length > 0)
    throw invalidField('body', 'expected none: this call takes no body')
  return undefined
}
