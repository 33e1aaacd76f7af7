// What an issuer's server may do instead of answering: each is what somebody's proxy, bucket or attacker really does.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'

const json = { 'content-type': 'application/json' }

/** Each answers one request, in place of the documents. */
const misbehaviours = {
  /** The connection is closed without an answer. */
  down: (request) => void request.socket.destroy(),
  /** Nothing at all, for ever. */
  hang: () => undefined,
  /** A byte now and then, for ever: each is progress, and none is the last. */
  drip: (_request, response) => {
    response.writeHead(200, json)
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  },
  /** Everything is right, and comes after eight seconds. */
  slow: (_request, response) => {
    const timer = setTimeout(() => response.writeHead(200, json).end('{"keys":[]}'), 8000)
    response.on('close', () => clearTimeout(timer))
  },
  huge: (_request, response) =>
    void response.writeHead(200, json).end(`{"keys":[],"padding":"${'x'.repeat(2_000_000)}"}`),
  /** Few bytes to send, a thousand times as many to read. */
  bomb: (_request, response) => void response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(bomb()),
  /** The same without saying so. */
  unlabelled_bomb: (_request, response) => void response.writeHead(200, json).end(bomb()),
  gzip: (_request, response) =>
    void response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(gzipSync('{"keys":[]}')),
  /** To itself, for ever. */
  redirect: (_request, response) => void response.writeHead(302, { location: '/jwks' }).end(),
  metadata_redirect: (_request, response) =>
    void response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end(),
  garbage: (_request, response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>captive portal</html>'),
  nothing: (_request, response) => void response.writeHead(200, json).end(),
  list: (_request, response) => void response.writeHead(200, json).end('[]'),
  latin1: (_request, response) => void response.writeHead(200, json).end(Buffer.from('{"keys":"\xe9"}', 'latin1')),
  /** JSON, and deep. */
  deep: (_request, response) => void response.writeHead(200, json).end('['.repeat(100_000) + ']'.repeat(100_000)),
  /** Ends in the middle of what it had promised. */
  cut: (request, response) => {
    response.writeHead(200, { ...json, 'content-length': '1000' }).write('{"keys":[')
    setTimeout(() => request.socket.destroy(), 20)
  },
  /** Speaks another protocol. */
  noise: (request) => void request.socket.end('SSH-2.0-OpenSSH_9.6\r\n'),
  long_headers: (_request, response) =>
    void response.writeHead(200, { ...json, 'x-padding': 'x'.repeat(100_000) }).end('{}'),
  error: (_request, response) => void response.writeHead(500).end('{"keys":[]}'),
  missing: (_request, response) => void response.writeHead(404, json).end('{"error":"not found"}'),
  partial: (_request, response) => void response.writeHead(206, json).end('{"keys":[]}'),
} satisfies Record<string, (request: IncomingMessage, response: ServerResponse) => void>

export type Misbehaviour = keyof typeof misbehaviours

export const misbehave = (how: Misbehaviour, request: IncomingMessage, response: ServerResponse): void =>
  misbehaviours[how](request, response)

/** Fifty megabytes of JSON in fifty kilobytes: well under any cap on what is sent. Members of gzip may follow each other. */
function bomb(): Buffer {
  const million = gzipSync('x'.repeat(1_000_000))
  const padding = Array.from({ length: 50 }, () => million)
  return Buffer.concat([gzipSync('{"keys":[],"padding":"'), ...padding, gzipSync('"}')])
}
