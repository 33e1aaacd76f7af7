// A stand-in for Vault where there is none: the paths that Hallpass uses, with Vault's own answers, and a way to make trouble.
// Tokens are really verified, lifetimes really end. It holds nothing that is worth anything.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { answerCall, type StandInAnswer, type VaultStandInConfig, vaultErrors } from './vault-calls.js'
import { type StandInLease, VaultState } from './vault-state.js'

interface StandInCall {
  method: string
  path: string
  body: unknown
  token: string | undefined
  /** As the header has it: like Vault's community edition, nothing here depends on it. */
  namespace: string | undefined
  at: number
}

export interface VaultStandIn {
  address: string
  /** All that it was asked, in order. */
  calls: StandInCall[]
  /** Users that exist now, and accessors of the tokens that leases stand on (not of logins). */
  alive(): { leases: StandInLease[]; accessors: string[] }
  /** Whether a database would let this user in. */
  accepts(username: string, password: string): boolean
  /** The next call whose path starts with this is not carried out and answered so instead. */
  failNext(path: string, status: number, errors?: string[]): void
  /** Like `failNext`, with the raw response in hand: garbage, drips, redirects, silence. */
  answerNext(path: string, write: (response: ServerResponse) => void): void
  /** The next call is carried out, and its answer changed on the way. */
  changeNext(path: string, change: (answer: StandInAnswer) => StandInAnswer): void
  /** Every call whose path starts with this is answered that much later; 0 undoes it. */
  delay(path: string, ms: number): void
  stop(): Promise<void>
}

type Trouble = { path: string } & (
  | { kind: 'write'; write: (response: ServerResponse) => void }
  | { kind: 'change'; change: (answer: StandInAnswer) => StandInAnswer }
)

/** Starts it on loopback. */
export async function startVaultStandIn(config: Omit<VaultStandInConfig, 'address'>): Promise<VaultStandIn> {
  const state = new VaultState()
  const calls: StandInCall[] = []
  const troubles: Trouble[] = []
  const delays = new Map<string, number>()
  let full: VaultStandInConfig = { ...config, address: '' }
  const server = createServer((request, response) => {
    respond(request, response).catch(() => response.destroy())
  })

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stand-in.invalid')
    const path = url.pathname.replace(/^\/v1\//, '')
    // Vault takes both for the same.
    const isList = request.method === 'GET' && url.searchParams.get('list') === 'true'
    const method = isList ? 'LIST' : (request.method ?? '')
    const body = await readJson(request)
    const token = headerText(request, 'x-vault-token')
    calls.push({ method, path, body, token, namespace: headerText(request, 'x-vault-namespace'), at: Date.now() })
    for (const [prefix, ms] of delays)
      if (ms > 0 && path.startsWith(prefix)) await new Promise((r) => setTimeout(r, ms).unref())
    const index = troubles.findIndex((trouble) => path.startsWith(trouble.path))
    const [trouble] = index < 0 ? [] : troubles.splice(index, 1)
    if (trouble?.kind === 'write') return trouble.write(response)
    const answer =
      body === notJson
        ? { status: 400, body: vaultErrors('failed to parse JSON input') }
        : await answerCall(full, state, { method, path, body, token })
    const { status, body: given } = trouble ? trouble.change(answer) : answer
    response.writeHead(status, { 'Content-Type': 'application/json' })
    response.end(given === null ? undefined : JSON.stringify(given))
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  const address = `http://127.0.0.1:${typeof bound === 'object' && bound ? bound.port : 0}`
  full = { ...config, address }
  return {
    address,
    calls,
    alive: () => ({
      leases: state.leases(),
      accessors: state.tokens().flatMap((token) => (token.role === null ? [] : [token.accessor])),
    }),
    accepts: (username, password) =>
      state.leases().some((lease) => lease.username === username && lease.password === password),
    failNext: (path, status, errors = []) => {
      const write = (response: ServerResponse) => {
        response.writeHead(status, { 'Content-Type': 'application/json' })
        response.end(JSON.stringify({ errors }))
      }
      troubles.push({ path, kind: 'write', write })
    },
    answerNext: (path, write) => void troubles.push({ path, kind: 'write', write }),
    changeNext: (path, change) => void troubles.push({ path, kind: 'change', change }),
    delay: (path, ms) => void delays.set(path, ms),
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
}

const notJson = Symbol('not JSON')

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  if (text === '') return {}
  try {
    return JSON.parse(text) as unknown
  } catch {
    return notJson
  }
}

function headerText(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}
