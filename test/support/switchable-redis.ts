// A TCP relay before Redis that can be turned to another one: what a fail-over looks like from a client that keeps its URL.
import { createConnection, createServer, type Socket } from 'node:net'

export interface SwitchableRedis {
  readonly url: string
  /** Cuts every connection; new ones go to this port of loopback. */
  turnTo(port: number): void
  /** Cuts none: those that are there stay where they are. */
  turnNewTo(port: number): void
  close(): Promise<void>
}

export async function startSwitchableRedis(first: number): Promise<SwitchableRedis> {
  let target = first
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  let isClosed = false
  const server = createServer((client) => {
    if (isClosed) {
      client.destroy()
      return
    }
    const upstream = keep(createConnection({ host: '127.0.0.1', port: target }))
    keep(client).pipe(upstream)
    upstream.pipe(client)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `redis://127.0.0.1:${address.port}`,
    turnTo(port) {
      target = port
      cut()
    },
    turnNewTo(port) {
      target = port
    },
    async close() {
      isClosed = true
      cut()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
