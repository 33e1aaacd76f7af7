// A TCP line that can be cut or silenced: before Redis, and before the brokers, where it takes whichever of them listens.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** cut: connections end at once. hang: they stand, and nothing passes. */
export type LineMode = 'open' | 'cut' | 'hang'

export interface Line {
  readonly port: number
  turn(mode: LineMode): void
  stop(): Promise<void>
}

/** On loopback before the given ports; each connection tries them in turn, beginning with the next. */
export async function startLine(targets: readonly number[], port = 0): Promise<Line> {
  let mode: LineMode = 'open'
  let turns = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    sockets.add(client)
    client.on('close', () => sockets.delete(client)).on('error', () => {})
    if (mode === 'cut') return void client.destroy()
    turns += 1
    const order = targets.map((_, i) => targets[(i + turns) % targets.length] ?? 0)
    join(client, order, () => mode === 'open')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    turn(next) {
      mode = next
      // What was swallowed while it hung is lost: only new connections begin in step.
      if (next !== 'hang') for (const socket of sockets) socket.destroy()
    },
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close').catch(() => {})
    },
  }
}

function join(client: Socket, [first, ...rest]: readonly number[], passes: () => boolean): void {
  if (first === undefined) return void client.destroy()
  client.pause()
  const target = connect(first, '127.0.0.1')
  let joined = false
  target.on('error', () => {
    if (joined) client.destroy()
    else join(client, rest, passes)
  })
  target.on('connect', () => {
    joined = true
    target.on('close', () => client.destroy())
    client.on('close', () => target.destroy())
    client.on('data', (chunk) => passes() && target.write(chunk))
    target.on('data', (chunk) => passes() && client.write(chunk))
    client.resume()
  })
}
