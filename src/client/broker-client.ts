// The broker's calls, typed. It trusts nothing of an answer before the wire's own schemas have read it.
import type { z } from 'zod'
import { type WhoAmI, whoami } from '../api/whoami.js'
import { parseAnswer } from './answer.js'
import { type ApprovalCalls, approvalCalls } from './approval-calls.js'
import type { Call, Query } from './call.js'
import type { ClientCertificateSource } from './client-certificate.js'
import { ClientError } from './client-error.js'
import { createDpopSender, type DpopKey, sendAsBearer } from './dpop.js'
import { callHttp, type HttpCall, parseServiceUrl } from './http-json.js'
import { type LeaseCalls, leaseCalls } from './lease-calls.js'
import { type OperatorCalls, operatorCalls } from './operator-calls.js'
import { type PolicyCalls, policyCalls } from './policy-calls.js'
import type { SubjectTokenSource } from './subject-token-source.js'
import { type TaskCalls, taskCalls } from './task-calls.js'
import { type TimelineCalls, timelineCalls } from './timeline-calls.js'

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

export interface BrokerClient extends TaskCalls, LeaseCalls, OperatorCalls, ApprovalCalls, PolicyCalls, TimelineCalls {
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

function urlOf(base: URL, path: readonly string[], query: Query): URL {
  const url = new URL(base)
  url.pathname = [base.pathname.replace(/\/+$/, ''), 'v1', ...path.map(encodeURIComponent)].join('/')
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.append(name, String(value))
  }
  return url
}
