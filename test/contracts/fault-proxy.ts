// A TCP proxy before a real server, so that a test can cut or silence the line without touching the server.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface FaultProxy {
  port: number
  /** Connections end at once, those that stand and those that come. The returned function undoes it. */
  cut(): Promise<() => Promise<void>>
  /** Connections are taken and nothing ever comes back. The returned function undoes it. */
  hang(): Promise<() => Promise<void>>
  stop(): Promise<void>
}

/** Starts one on loopback before the given loopback port. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  let mode: 'open' | 'cut' | 'hang' = 'open'
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    sockets.add(client)
    client.on('close', () => sockets.delete(client)).on('error', () => {})
    if (mode === 'cut') return client.destroy()
    if (mode === 'hang') return client.resume()
    const target = connect(targetPort, '127.0.0.1')
    target.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => target.destroy())
    client.on('data', (chunk) => mode === 'open' && target.write(chunk))
    target.on('data', (chunk) => mode === 'open' && client.write(chunk))
    return client
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const endAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  const turn = async (next: typeof mode) => {
    mode = next
    if (next !== 'hang') await noticed()
    return async () => {
      mode = 'open'
      await noticed()
    }
  }
  /** Ends what stands, and gives the other side a moment to see it. */
  const noticed = async () => {
    endAll()
    await new Promise((resolve) => setTimeout(resolve, 50))
    // After a stall the time is over before anybody has read of it: a whole turn of the loop looks at the sockets.
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cut: () => turn('cut'),
    hang: () => turn('hang'),
    stop: async () => {
      server.close()
      endAll()
      await once(server, 'close').catch(() => {})
    },
  }
}
