// One exchange with Vault, through node-vault's `request` alone and over a transport of ours. node-vault by itself reads
// VAULT_* from the environment, obeys proxies, follows redirects with token and body, has neither time-out nor size limit,
// prints bodies under DEBUG, and its errors carry them. None of that reaches a call made here.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import nodeVault from 'node-vault'
import type { Secret } from '../core/secret.js'
import { type JsonObject, ProviderError } from './provider.js'

export interface VaultRequest {
  method: 'GET' | 'POST'
  /** Below `/v1/`. Part of error messages, so nothing secret: accessors and lease ids go into bodies. */
  path: string
  body?: JsonObject
  token?: Secret
  namespace?: string | undefined
  /** For the whole exchange, connection and last byte included. */
  timeoutMs: number
  /** The longest answer that is read. Default 1 MiB. */
  maxBytes?: number
  /** Asking twice is the same as once, so a pooled connection that turns out to be dead is no reason to fail. */
  repeatable?: boolean
}

/** Any complete JSON answer, whatever its status. */
export interface VaultAnswer {
  status: number
  body: unknown
}

export interface VaultTransport {
  /** Throws ProviderError: `unavailable` when no answer came in time, `retryable` when what came is none of Vault's. */
  send(request: VaultRequest): Promise<VaultAnswer>
  close(): void
}

// What node-vault hands to its `request-promise` hook.
interface HookOptions {
  uri: string
  method: string
  headers: Record<string, string>
  json?: JsonObject
  timeoutMs: number
  maxBytes: number
  repeatable: boolean
}
interface HookAnswer {
  statusCode: number
  body: unknown
}

const maxAnswerBytes = 1024 * 1024
const idleSocketMs = 30_000

/** A keep-alive transport to one address. `ca` replaces the system's roots. */
export function createVaultTransport(options: {
  address: string
  ca?: string | undefined
  sockets: number
}): VaultTransport {
  const isTls = new URL(options.address).protocol === 'https:'
  const pool = { keepAlive: true, maxSockets: options.sockets, timeout: idleSocketMs }
  // Said outright, because NODE_TLS_REJECT_UNAUTHORIZED decides where nothing is said.
  const tls = { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const }
  const agent = isTls
    ? new HttpsAgent({ ...pool, ...tls, ...(options.ca === undefined ? {} : { ca: options.ca }) })
    : new HttpAgent(pool)
  const client = nodeVault({
    endpoint: options.address,
    debug: () => {},
    'request-promise': { defaults: () => (request: HookOptions) => exchange(agent, isTls, request) },
  } as Parameters<typeof nodeVault>[0])
  // Taken from the environment where the options are silent, and an empty option counts as silence: so undone afterwards.
  Object.assign(client, {
    token: undefined,
    namespace: undefined,
    pathPrefix: '',
    handleVaultResponse: async (answer: HookAnswer): Promise<VaultAnswer> => ({
      status: answer.statusCode,
      body: answer.body,
    }),
  })
  return {
    send: ({ method, path, body, token, namespace, timeoutMs, maxBytes = maxAnswerBytes, repeatable = false }) => {
      const headers: Record<string, string> = { 'X-Vault-Request': 'true' }
      if (token) headers['X-Vault-Token'] = token.reveal()
      if (namespace !== undefined) headers['X-Vault-Namespace'] = namespace
      return client.request({
        method,
        path: `/${path}`,
        headers,
        timeoutMs,
        maxBytes,
        repeatable,
        ...(body ? { json: body } : {}),
      })
    },
    close: () => agent.destroy(),
  }
}

function exchange(agent: HttpAgent | HttpsAgent, isTls: boolean, options: HookOptions): Promise<HookAnswer> {
  const url = new URL(options.uri)
  const what = `${options.method} ${url.pathname}`
  // URL removes dot segments: what is asked must be what was decided upon.
  if (!options.uri.split('?')[0]?.endsWith(url.pathname)) {
    return Promise.reject(new ProviderError('permanent', `${what}: the path is not in its plain form`))
  }
  const text = options.json === undefined ? undefined : JSON.stringify(options.json)
  const headers = text === undefined ? options.headers : { ...options.headers, 'Content-Type': 'application/json' }
  const signal = AbortSignal.timeout(Math.max(1, Math.ceil(options.timeoutMs)))
  return new Promise((resolve, reject) => {
    const attempt = (mayRepeat: boolean) => {
      const request = (isTls ? httpsRequest : httpRequest)(url, { method: options.method, headers, agent, signal })
      const fail = (error: unknown) => {
        const reason = signal.aborted ? 'no answer in time' : reasonOf(error)
        reject(error instanceof ProviderError ? error : new ProviderError('unavailable', `${what}: ${reason}`))
      }
      request.on('error', (error) => {
        if (mayRepeat && request.reusedSocket && !signal.aborted) attempt(false)
        else fail(error)
      })
      request.on('response', (response) => {
        readAnswer(what, response, options.maxBytes).then(resolve, (error: unknown) => {
          fail(error)
          request.destroy()
        })
      })
      request.end(text)
    }
    attempt(options.repeatable)
  })
}

/** A system's or TLS error code, never the error itself: Node puts hosts, certificates and more into it. */
function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? `not reachable (${code})` : 'not reachable'
}

async function readAnswer(what: string, response: IncomingMessage, maxBytes: number): Promise<HookAnswer> {
  const statusCode = response.statusCode ?? 0
  if (statusCode >= 300 && statusCode < 400) {
    // Following it would carry the token to wherever the answer says.
    throw new ProviderError('retryable', `${what}: redirected (${statusCode}); let address name the node that answers`)
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new ProviderError('retryable', `${what}: the answer is over ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8').trim()
  if (text === '') return { statusCode, body: null }
  try {
    return { statusCode, body: JSON.parse(text) as unknown }
  } catch {
    throw new ProviderError('retryable', `${what}: answered ${statusCode} with something that is not JSON`)
  }
}
