// A proxy that ends its clients' connections itself, as managed Redis has them: when another server takes over, clients notice nothing.
import { createConnection, createServer, type Socket } from 'node:net'

export interface SwappingProxy {
  readonly url: string
  /** What clients send from here on is for this one; call it while nothing is under way. */
  swapTo(port: number): void
  close(): Promise<void>
}

export async function startSwappingProxy(first: number): Promise<SwappingProxy> {
  let target = first
  const pairs = new Map<Socket, Socket>()
  const connectUpstream = (client: Socket) => {
    const upstream = createConnection({ host: '127.0.0.1', port: target })
    upstream.on('error', () => client.destroy())
    upstream.on('data', (answer) => client.write(answer))
    pairs.set(client, upstream)
  }
  const server = createServer((client) => {
    client.on('error', () => client.destroy())
    client.on('data', (asked) => pairs.get(client)?.write(asked))
    client.on('close', () => {
      pairs.get(client)?.destroy()
      pairs.delete(client)
    })
    connectUpstream(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `redis://127.0.0.1:${address.port}`,
    swapTo(port) {
      target = port
      for (const [client, old] of pairs) {
        old.removeAllListeners('error').on('error', () => undefined)
        old.destroy()
        connectUpstream(client)
      }
    },
    async close() {
      for (const client of pairs.keys()) client.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
