// A line of a given length before a server: what passes arrives that much later, in both directions. With a server on the same
// processors, what a second client process adds cannot be seen; with one that is far away, it can.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Distance {
  readonly address: string
  /** Each way, milliseconds; 0 at first. */
  oneWayMs: number
  stop(): Promise<void>
}

/** On loopback, before a server there. */
export async function startDistance(target: string): Promise<Distance> {
  const { port } = new URL(target)
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port: Number(port), noDelay: true })
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    near.on('data', (chunk) => pass(chunk, far))
    far.on('data', (chunk) => pass(chunk, near))
  })
  const pass = (chunk: Buffer, to: Socket) => {
    // Timers of the same length keep their order.
    if (distance.oneWayMs === 0) to.write(chunk)
    else setTimeout(() => to.write(chunk), distance.oneWayMs)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  const distance: Distance = {
    address: `http://127.0.0.1:${typeof bound === 'object' && bound ? bound.port : 0}`,
    oneWayMs: 0,
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close').catch(() => {})
    },
  }
  return distance
}
