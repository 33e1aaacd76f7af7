// The line between a primary and its replica: what the primary sends arrives later, or not for now; what the replica acknowledges
// at once.
import { createConnection, createServer, type Socket } from 'node:net'

export interface SlowLink {
  readonly port: number
  /** What the primary sends from here on is so much later. */
  delayBy(ms: number): void
  /** Nothing arrives any more, and no connection breaks, until it is released. */
  hold(): void
  release(): void
  /** What has not arrived never does. */
  cut(): void
  close(): Promise<void>
}

/** To a primary on this port of loopback. */
export async function startSlowLink(primary: number): Promise<SlowLink> {
  let delayMs = 0
  let open = Promise.resolve()
  let release = () => {}
  let isCut = false
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const server = createServer((replica) => {
    keep(replica)
    if (isCut) {
      replica.destroy()
      return
    }
    const upstream = keep(createConnection({ host: '127.0.0.1', port: primary }))
    replica.pipe(upstream)
    let inOrder = Promise.resolve()
    upstream.on('data', (chunk) => {
      const at = performance.now() + delayMs
      inOrder = inOrder.then(async () => {
        const early = at - performance.now()
        if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
        await open
        if (!replica.destroyed) replica.write(chunk)
      })
    })
    replica.on('close', () => upstream.destroy())
    upstream.on('close', () => replica.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const cut = () => {
    isCut = true
    for (const socket of sockets) socket.destroy()
    release()
  }
  return {
    port: address.port,
    delayBy(ms) {
      delayMs = ms
    },
    hold() {
      open = new Promise((resolve) => {
        release = resolve
      })
    },
    release: () => release(),
    cut,
    async close() {
      cut()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
