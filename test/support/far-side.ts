// The far side of the test provider: a small HTTP server in which credentials really live, with switches for everything that
// a far side can do wrong.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** What may be asked of it, each with a switch of its own. */
export type FarCall = 'create' | 'secret' | 'revoke' | 'probe' | 'find' | 'list'

/**
 * works; fails: 500; refuses: 400; garbage: 200 with no JSON; hangs: never done, never answered; lost: done, never answered;
 * cut: done, the connection broken; slow: done and answered after `slowMs`; late: done after `slowMs`, never answered.
 */
export type FarMood = 'works' | 'fails' | 'refuses' | 'garbage' | 'hangs' | 'lost' | 'cut' | 'slow' | 'late'

interface FarCredential {
  readonly id: string
  readonly name: string
  readonly endsAt: number
  hasSecret: boolean
}

export class FarSide {
  readonly mood: Record<FarCall, FarMood> = {
    create: 'works',
    secret: 'works',
    revoke: 'works',
    probe: 'works',
    find: 'works',
    list: 'works',
  }
  slowMs = 300
  /** Runs when the call arrives, before it is done: for what happens at that very moment. */
  readonly during: Partial<Record<FarCall, () => Promise<void>>> = {}
  readonly seen: FarCall[] = []
  readonly #credentials = new Map<string, FarCredential>()
  readonly #server: Server
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no address')
    return `http://127.0.0.1:${address.port}`
  }

  /** Names (lease ids) of what works there at this moment. */
  alive(): string[] {
    return [...this.#credentials.values()].filter(isAlive).map((one) => one.name)
  }

  /** As its own administrator would: without Hallpass. */
  deleteAll(): void {
    this.#credentials.clear()
  }

  /** Breaks every connection: what hangs is over for whoever asked. */
  hangUp(): void {
    this.#server.closeAllConnections()
  }

  count(call: FarCall): number {
    return this.seen.filter((one) => one === call).length
  }

  /** Everything works again, nothing was seen. What lives goes on living. */
  calm(): void {
    for (const call of Object.keys(this.mood) as FarCall[]) this.mood[call] = 'works'
    for (const call of Object.keys(this.during) as FarCall[]) delete this.during[call]
    this.seen.length = 0
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://far')
    const call = url.pathname.slice(1) as FarCall
    this.seen.push(call)
    await this.during[call]?.()
    const mood = this.mood[call]
    const say = (status: number, body: string) => response.writeHead(status).end(body)
    switch (mood) {
      case 'fails':
        return void say(500, 'something is wrong here')
      case 'refuses':
        return void say(400, 'never')
      case 'garbage':
        return void say(200, '<html>welcome</html>')
      case 'hangs':
        return
      case 'slow':
      case 'late':
        await this.#pause()
    }
    const { status, body } = this.#carryOut(call, url.searchParams)
    if (mood === 'cut') request.socket.destroy()
    else if (mood !== 'lost' && mood !== 'late') say(status, JSON.stringify(body))
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        resolve()
      }, this.slowMs)
      this.#timers.add(timer)
    })
  }

  #carryOut(call: FarCall, query: URLSearchParams): { status: number; body: object } {
    const found = this.#credentials.get(query.get('id') ?? '')
    switch (call) {
      case 'create': {
        const made = { id: randomUUID(), name: query.get('name') ?? '', endsAt: Number(query.get('ends')) }
        this.#credentials.set(made.id, { ...made, hasSecret: false })
        return { status: 200, body: { id: made.id, ends: made.endsAt } }
      }
      case 'secret':
        if (!found) return { status: 404, body: {} }
        found.hasSecret = true
        return { status: 200, body: { secret: `secret-of-${found.id}` } }
      case 'revoke':
        if (!found) return { status: 404, body: {} }
        this.#credentials.delete(found.id)
        return { status: 200, body: {} }
      case 'probe':
        return found && isAlive(found) ? { status: 200, body: { alive: true } } : { status: 404, body: {} }
      case 'list':
        return { status: 200, body: { credentials: [...this.#credentials.values()].filter(isAlive) } }
      default: {
        const named = [...this.#credentials.values()].find((one) => one.name === query.get('name'))
        return named ? { status: 200, body: { id: named.id } } : { status: 404, body: {} }
      }
    }
  }
}

const isAlive = (one: FarCredential) => one.endsAt > Date.now()
