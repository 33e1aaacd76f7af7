// Where the browser brings the authorization code: a server on loopback for one answer (RFC 8252 section 7.3). Anybody on
// this machine, and any page in the browser, can call it, so only an answer with our `state` is one.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { equalInConstantTime } from '../core/hash.js'
import { ClientError } from './client-error.js'

export interface LoopbackRedirect {
  readonly redirectUri: string
  /** The URL that was called with our state, whatever else it says. Throws ClientError `login_failed` when none came in time. */
  received(timeoutMs: number): Promise<URL>
  close(): void
}

const path = '/callback'

/** `port` 0 takes a free one. `onStranger` hears of every call that was not the answer. */
export async function openLoopbackRedirect(
  state: string,
  options: { port: number; onStranger: (why: string) => void },
): Promise<LoopbackRedirect> {
  let arrived: (url: URL) => void = () => undefined
  const answer = new Promise<URL>((resolve) => {
    arrived = resolve
  })
  const server = createServer((request, response) => {
    const url = parseAnswer(request, redirectUri, state)
    if (url instanceof URL) {
      say(
        response,
        200,
        'Hallpass has the answer of your sign-in. The terminal says what came of it; close this window.',
      )
      arrived(url)
      return
    }
    options.onStranger(url)
    say(response, url === 'no such page' ? 404 : 400, `Hallpass: ${url}`)
  })
  // The address and not the name: `localhost` may be another interface's, and others may listen there (section 8.3).
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new ClientError('invalid_configuration', `port ${options.port} on loopback is not free`, { cause: error }),
      ),
    )
    server.listen(options.port, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const redirectUri = `http://127.0.0.1:${port}${path}`
  return {
    redirectUri,
    received: (timeoutMs) => within(answer, timeoutMs),
    close() {
      server.close()
      server.closeIdleConnections()
    },
  }
}

/** The answer's URL, or what is wrong with the call. */
function parseAnswer(request: IncomingMessage, redirectUri: string, state: string): URL | string {
  const expected = new URL(redirectUri)
  const target = request.url ?? ''
  if (request.method !== 'GET' || !URL.canParse(target, expected.href) || !target.startsWith('/')) return 'no such page'
  const url = new URL(target, expected)
  if (url.pathname !== path || url.host !== expected.host) return 'no such page'
  // Another name that leads here would be a page that rebinds its own (DNS rebinding).
  if (request.headers.host !== expected.host) return 'an answer under another name was refused'
  const states = url.searchParams.getAll('state')
  if (states.length === 1 && equalInConstantTime(states[0] ?? '', state)) return url
  return 'an answer with a wrong state was refused'
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-security-policy': "default-src 'none'",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  })
  response.end(`${text}\n`)
}

async function within(answer: Promise<URL>, timeoutMs: number): Promise<URL> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new ClientError('login_failed', `nobody signed in within ${Math.round(timeoutMs / 1000)} s`)
    timer = setTimeout(() => reject(error), timeoutMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
