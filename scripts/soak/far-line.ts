// An HTTP line before a provider that does to calls what networks and overloaded servers do.
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pause, type Random } from './random.js'

/**
 * hangs, fails (500), garbage: not carried out. late: carried out, answered after the caller gave up. lost: carried out, the
 * connection cut. delayed: carried out only after the caller gave up, when its end may already have been tried.
 */
export type FarMood = 'works' | 'hangs' | 'fails' | 'garbage' | 'late' | 'lost' | 'delayed'

export const farMoods = ['hangs', 'fails', 'garbage', 'late', 'lost', 'delayed'] as const

export interface FarLine {
  readonly address: string
  mood: FarMood
  /** Calls that were met by a mood. */
  readonly harmed: Map<FarMood, number>
  stop(): Promise<void>
}

/** Some calls get through in every mood: a far side is seldom wholly gone. */
const share = 0.7
/** Beyond the callers' time-out (1 s), and within the 5 s that a deadline may be outlived, also where this process stands still for two. */
const lateMs = { low: 1500, high: 2500 }

export async function startFarLine(target: string, random: Random): Promise<FarLine> {
  const harmed = new Map<FarMood, number>()
  const server = createServer((incoming, response) => {
    const { mood } = line
    const met = mood !== 'works' && random.chance(share) ? mood : 'works'
    if (met !== 'works') harmed.set(met, (harmed.get(met) ?? 0) + 1)
    answer(met, random.between(lateMs.low, lateMs.high), { target, incoming, response }).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  const line: FarLine = {
    address: `http://127.0.0.1:${typeof bound === 'object' && bound ? bound.port : 0}`,
    mood: 'works',
    harmed,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
  return line
}

interface Exchange {
  readonly target: string
  readonly incoming: IncomingMessage
  readonly response: ServerResponse
}

async function answer(mood: FarMood, ms: number, { target, incoming, response }: Exchange): Promise<void> {
  const body = await readAll(incoming)
  response.on('error', () => {})
  if (mood === 'hangs') return
  if (mood === 'fails') return void response.writeHead(500).end('{"errors":["internal error"]}')
  if (mood === 'garbage') return void response.writeHead(200).end('<html>welcome to the portal</html>')
  if (mood === 'delayed') await pause(ms)
  const { status, headers, text } = await passOn(target, incoming, body)
  if (mood === 'late') await pause(ms)
  if (mood === 'lost') return void incoming.socket.destroy()
  response.writeHead(status, headers).end(text)
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function passOn(target: string, incoming: IncomingMessage, body: Buffer) {
  return new Promise<{ status: number; headers: IncomingMessage['headers']; text: Buffer }>((resolve, reject) => {
    const { 'transfer-encoding': _, ...headers } = incoming.headers
    const sent = request(
      `${target}${incoming.url ?? '/'}`,
      { method: incoming.method, headers: { ...headers, 'content-length': body.length }, agent: false },
      (answered) => {
        const { 'transfer-encoding': _chunked, connection: _hop, ...kept } = answered.headers
        readAll(answered).then((text) => resolve({ status: answered.statusCode ?? 502, headers: kept, text }), reject)
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}
