// One HTTP call, bounded in time and size. node:http rather than fetch: a CA of our own needs no further package there,
// and redirects are never followed, so a bearer token goes to the named host and nowhere else.
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isHttpsOrLoopback } from '../core/settings.js'
import type { ClientCertificate } from './client-certificate.js'
import { ClientError } from './client-error.js'

export interface HttpCall {
  method: 'GET' | 'POST' | 'DELETE'
  url: URL
  headers?: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
  /** PEM; replaces the system's roots. */
  ca?: string
  /** PEM; shown to a server that asks for a certificate. */
  certificate?: ClientCertificate
  timeoutMs: number
  maxBytes: number
  /** Breaks the call off. */
  signal?: AbortSignal
}

export interface HttpAnswer {
  status: number
  headers: IncomingMessage['headers']
  text: string
}

/** Throws ClientError `invalid_configuration` unless `text` is https, or http on loopback: tokens travel over it. */
export function parseServiceUrl(text: string, name: string): URL {
  if (isHttpsOrLoopback(text)) return new URL(text)
  throw new ClientError(
    'invalid_configuration',
    `${name}: expected an https:// URL (http:// only for loopback, since tokens travel over it)`,
  )
}

/** Makes the call. Any failure to get a whole answer in time is ClientError `unavailable`. */
export function callHttp(call: HttpCall): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new ClientError('unavailable', `${call.url.origin} ${why}`, { cause }))
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    const send = call.url.protocol === 'https:' ? requestHttps : requestHttp
    const outgoing = send(call.url, {
      method: call.method,
      headers: {
        accept: 'application/json',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...call.headers,
      },
      // Calls are minutes apart, and a kept socket that the server closes meanwhile would fail a call that must not be repeated.
      agent: false,
      signal: AbortSignal.any([AbortSignal.timeout(call.timeoutMs), ...(call.signal ? [call.signal] : [])]),
      ...(call.ca === undefined ? {} : { ca: call.ca }),
      ...call.certificate,
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      fail(
        error.name === 'AbortError' || error.name === 'TimeoutError'
          ? `did not answer within ${call.timeoutMs / 1000} s`
          : `could not be reached (${error.code ?? error.message})`,
        error,
      ),
    )
    outgoing.on('response', (incoming) => {
      readText(incoming, call.maxBytes).then(
        (text) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }),
        (error: Error) => {
          outgoing.destroy()
          fail(`broke off its answer (${error.message})`, error)
        },
      )
    })
    outgoing.end(body)
  })
}

async function readText(incoming: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new Error(`more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
