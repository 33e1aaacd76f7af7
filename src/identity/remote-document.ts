// A bounded fetch of one JSON document: https (or loopback http), no redirects, one time limit over everything, a byte
// cap, and only addresses that the policy allows. What it returns is untrusted JSON.
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { PeerCertificate } from 'node:tls'
import { isHttpsOrLoopback } from '../core/settings.js'
import { type AddressPolicy, createPinnedLookup, isAllowedAddress, type ResolveHost } from './address-policy.js'

/** How a fetch ended: `unreachable` also where its address is not allowed. */
export type FetchOutcome = 'ok' | 'bad_answer' | 'late' | 'unreachable'
/** Told the headers of an answer, whatever it is worth. */
export type NoteAnswer = (headers: IncomingHttpHeaders) => void

interface FetchBounds {
  readonly addresses: AddressPolicy
  readonly resolveHost: ResolveHost
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly noteAnswer?: NoteAnswer
  /** Who the server must be, where that is not its name in the web's PKI. */
  readonly server?: ServerIdentity
}

/** Fails with how it ended, for the metrics. */
class FetchFailure extends Error {
  readonly outcome: FetchOutcome
  constructor(outcome: FetchOutcome, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'FetchFailure'
    this.outcome = outcome
  }
}

export function outcomeOf(error: unknown): FetchOutcome {
  return error instanceof FetchFailure ? error.outcome : 'unreachable'
}

/** How a TLS server is authenticated; `node:tls` has the meaning of each. */
export interface ServerIdentity {
  readonly ca?: string[]
  readonly allowPartialTrustChain?: boolean
  readonly checkServerIdentity?: (hostname: string, certificate: PeerCertificate) => Error | undefined
}

/** Fetches and parses JSON. Throws an Error that says, with the URL, what was wrong; it is for operators, not callers. */
export async function fetchJson(url: string, bounds: FetchBounds): Promise<unknown> {
  try {
    if (!isHttpsOrLoopback(url)) throw new Error('is neither https:// nor http:// on loopback')
    const target = new URL(url)
    const host = target.hostname.replace(/^\[|\]$/g, '')
    // An address written in the URL is never looked up, so the pinned lookup would not see it.
    if (isIP(host) !== 0 && !isAllowedAddress(host, bounds.addresses)) {
      throw new Error('is at an address that is not public (allow_private_addresses)')
    }
    return parseJson(await fetchBody(target, bounds))
  } catch (error) {
    throw new FetchFailure(outcomeOf(error), `${url}: ${messageOf(error)}`, error)
  }
}

function parseJson(body: Buffer): unknown {
  try {
    // Duplicate members are not refused here: RFC 7517 section 4 lets the last count, and it is the issuer's own word.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new FetchFailure('bad_answer', 'did not answer JSON', cause)
  }
}

/** What an error says, for operators. Several addresses tried in vain are an AggregateError with a code and no message. */
export function messageOf(error: unknown): string {
  const { message, code } = error as { message?: unknown; code?: unknown }
  return [message, code].find((text) => typeof text === 'string' && text !== '')?.toString() ?? 'failed'
}

function fetchBody(target: URL, bounds: FetchBounds): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = (target.protocol === 'https:' ? httpsRequest : httpRequest)(target, {
      // A connection of its own: a kept one would outlive the address check.
      agent: false,
      lookup: createPinnedLookup(bounds.addresses, bounds.resolveHost),
      headers: { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'hallpass' },
      ...bounds.server,
      rejectUnauthorized: true,
    })
    const fail = (error: Error) => {
      clearTimeout(timer)
      reject(error)
      request.destroy()
    }
    // Over name, connection, TLS, headers and the whole body: one that drips gets no longer than one that hangs.
    const late = new FetchFailure('late', `gave no whole answer in ${bounds.timeoutMs} ms`)
    const timer = setTimeout(() => fail(late), bounds.timeoutMs)
    request.on('error', fail)
    request.on('response', (response) => {
      bounds.noteAnswer?.(response.headers)
      collectBody(response, bounds.maxBytes, fail, (body) => {
        clearTimeout(timer)
        resolve(body)
      })
    })
    request.end()
  })
}

function collectBody(
  response: IncomingMessage,
  maxBytes: number,
  fail: (error: Error) => void,
  done: (body: Buffer) => void,
): void {
  response.on('error', fail)
  const refusal = refusalOf(response)
  if (refusal !== null) {
    fail(new FetchFailure('bad_answer', refusal))
    return
  }
  const chunks: Buffer[] = []
  let length = 0
  response.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > maxBytes) fail(new FetchFailure('bad_answer', `answered more than ${maxBytes} bytes`))
    else chunks.push(chunk)
  })
  // `end` does not come when the connection breaks in the middle: that is an `error`.
  response.on('end', () => done(Buffer.concat(chunks)))
}

function refusalOf(response: IncomingMessage): string | null {
  const status = response.statusCode ?? 0
  if (status >= 300 && status < 400) return `answered ${status}; redirects are not followed`
  if (status !== 200) return `answered ${status}`
  // Nothing is decompressed, so that few bytes cannot become many.
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') return 'answered compressed, which was not asked for'
  return isJsonType(response.headers['content-type']) ? null : 'answered a content type that is not JSON'
}

/** JSON by any of its names. Object stores, where some publish their keys, say octet-stream when they were told nothing. */
function isJsonType(type: string | undefined): boolean {
  if (type === undefined) return true
  const name = type.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return /^(application\/([\w.-]+\+)?json|text\/json|(application|binary)\/octet-stream)$/.test(name)
}
