// The HTTP edge: routes on Express, and an answer of ours even to what never becomes a request.
import { constants } from 'node:crypto'
import { createServer as createHttpServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import express, { type Express } from 'express'
import { BrokerError, invalidField } from '../core/errors.js'
import { createId } from '../core/ids.js'
import type { Secret } from '../core/secret.js'
import { type Dispatcher, dispatch } from './dispatch.js'
import { problemAnswer, writeAnswer } from './problem.js'
import type { Route } from './route.js'

const maxHeaderBytes = 32 * 1024

/** Express with these routes and nothing else: no cookies, no sessions, no query parser that guesses types. */
export function createApp(on: Dispatcher, routes: readonly Route[]): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.set('strict routing', true)
  app.set('case sensitive routing', true)
  for (const route of routes) {
    const method = route.method.toLowerCase() as 'get' | 'post' | 'delete'
    const names = [...route.path.matchAll(/:([a-z_]+)/g)].map((match) => match[1] ?? '')
    app[method](route.path, (request, response) =>
      dispatch(
        on,
        route,
        names.map((name) => String(request.params[name])),
        request,
        response,
      ),
    )
  }
  app.use((request, response) => {
    const requestId = createId('req', on.parts.clock.now())
    writeAnswer(
      response,
      problemAnswer(new BrokerError('not_found', `no such call: ${request.method} ${request.path.slice(0, 200)}`)),
      requestId,
    )
  })
  app.use((error: unknown, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
    // Express itself refuses what it cannot decode in a path; that is the caller's.
    const undecodable =
      error instanceof URIError || (error instanceof Error && 'status' in error && error.status === 400)
    const known = undecodable ? invalidField('path', 'is not well formed') : error
    if (!undecodable) on.parts.log.error({ err: error }, 'request failed')
    if (!response.headersSent) writeAnswer(response, problemAnswer(known), createId('req', on.parts.clock.now()))
  })
  return app
}

export interface Tls {
  readonly certificate: string
  readonly key: Secret
  /** Callers are asked for a certificate. Who sends none, or one that is no SVID, may still come with a token. */
  readonly asksForCertificates: boolean
}

/** A server that answers broken requests (400, 431) as problems too, and takes headers up to 32 KiB. */
export function createWebServer(on: Dispatcher, listener: RequestListener, tls: Tls | null): Server {
  const options = {
    maxHeaderSize: maxHeaderBytes,
    requestTimeout: 30_000,
    headersTimeout: 10_000,
    keepAliveTimeout: 65_000,
    // Node's own answer to a missing Host has no request id; `withHost` says it as a problem.
    requireHostHeader: false,
  }
  const listen = withHost(on, listener)
  const server = tls ? createHttpsServer({ ...options, ...tlsOptions(tls) }, listen) : createHttpServer(options, listen)
  server.on('checkExpectation', (_request, response) =>
    refuse(on, response, invalidField('Expect', 'expected 100-continue or none')),
  )
  // Nothing is tunnelled; without this the connection would end without a word.
  server.on('connect', (_request, socket: Socket) => answerBrokenRequest(on, new Error('CONNECT'), socket))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => answerBrokenRequest(on, error, socket))
  return server
}

function tlsOptions({ certificate: cert, key, asksForCertificates: requestCert }: Tls): ServerOptions {
  const options: ServerOptions = { cert, key: key.reveal(), minVersion: 'TLSv1.2' }
  if (!requestCert) return options
  // What a certificate is worth is decided per request, by the bundle of that moment. A resumed session would show the leaf
  // without what was sent above it, and a key that was proven some other day.
  return { ...options, requestCert, rejectUnauthorized: false, secureOptions: constants.SSL_OP_NO_TICKET }
}

/** RFC 9112 section 3.2: one Host, or 400; two would be read differently by us and by a proxy. */
function withHost(on: Dispatcher, listener: RequestListener): RequestListener {
  return (request, response) => {
    const hosts = request.headersDistinct.host?.length ?? 0
    if (hosts === 1 || (hosts === 0 && request.httpVersion === '1.0')) listener(request, response)
    else refuse(on, response, invalidField('Host', 'expected exactly one'))
  }
}

function refuse(on: Dispatcher, response: ServerResponse, error: BrokerError): void {
  const answer = problemAnswer(error)
  // What the request's body would have been is not looked at.
  const headers = { ...answer.headers, connection: 'close' }
  writeAnswer(response, { ...answer, headers }, createId('req', on.parts.clock.now()))
}

function answerBrokenRequest(on: Dispatcher, error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return
  const requestId = createId('req', on.parts.clock.now())
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW'
  const [status, phrase] = tooLarge ? [431, 'Request Header Fields Too Large'] : [400, 'Bad Request']
  const body = JSON.stringify({
    type: 'about:blank',
    title: tooLarge ? 'The headers are too large' : 'The request is not well formed',
    status,
    code: tooLarge ? 'too_large' : 'invalid_request',
    detail: tooLarge
      ? `the headers are larger than ${maxHeaderBytes} bytes`
      : 'request: this is not an HTTP request that can be read',
    ...(tooLarge ? {} : { errors: [{ field: 'request', message: 'this is not an HTTP request that can be read' }] }),
  })
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\ncontent-type: application/problem+json\r\nx-request-id: ${requestId}\r\n` +
      `x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
