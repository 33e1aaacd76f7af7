// A small broker that speaks the wire of src/api over real HTTP, for the clients' tests. It keeps what it was
// sent, and can be told to refuse, to be slow to revoke or to be down.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createId } from '../../src/core/ids.js'
import { answerTo } from './wire-broker.js'
import type { SeenRequest, WireState } from './wire-state.js'

/** Answers the next request of this method and path start in place of the broker; `drop` breaks the connection. */
export interface Fault {
  method: string
  path: string
  answer: { status: number; headers?: Record<string, string>; body: string } | 'drop' | 'never'
}

export interface WireServer extends WireState {
  readonly url: string
  readonly seen: SeenRequest[]
  readonly faults: Fault[]
  close(): Promise<void>
}

/** Starts it on a free loopback port; `close` ends it and every connection. */
export async function startWireServer(): Promise<WireServer> {
  const state: State = {
    seen: [],
    faults: [],
    offers: new Map(),
    refused: new Map(),
    approvers: new Map(),
    approvals: new Map(),
    leases: new Map(),
    tasks: new Map(),
    revocations: new Map(),
  }
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing, state).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { ...state, url: `http://127.0.0.1:${port}`, close: () => closeServer(server) }
}

type State = WireState & Pick<WireServer, 'seen' | 'faults'>

async function answer(incoming: IncomingMessage, outgoing: ServerResponse, state: State) {
  const url = new URL(incoming.url ?? '/', 'http://wire')
  const body = await text(incoming)
  const seen: SeenRequest = {
    method: incoming.method ?? '',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: incoming.headers,
    body: body === '' ? undefined : JSON.parse(body),
  }
  state.seen.push(seen)
  const at = state.faults.findIndex(({ method, path }) => method === seen.method && seen.path.startsWith(path))
  const [fault] = at < 0 ? [] : state.faults.splice(at, 1)
  if (fault?.answer === 'drop') return outgoing.destroy()
  if (fault?.answer === 'never') return undefined
  if (fault !== undefined) return outgoing.writeHead(fault.answer.status, fault.answer.headers).end(fault.answer.body)
  const { status, body: said } = answerTo(seen, state)
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  const headers = { 'content-type': type, 'x-request-id': createId('req', Date.now()) }
  return outgoing.writeHead(status, headers).end(JSON.stringify(said))
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
