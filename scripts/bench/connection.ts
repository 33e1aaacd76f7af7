// One keep-alive HTTP/1.1 connection with one request at a time. Written by hand because the load must cost less than what
// it measures: Node's own client takes about as long for a request as a whole bare exchange.
import { createConnection, type Socket } from 'node:net'

export interface Reply {
  readonly status: number
  readonly body: string
}

export class HttpConnection {
  readonly #socket: Socket
  readonly #host: string
  #received: Buffer = Buffer.alloc(0)
  #waiting: { resolve(reply: Reply): void; reject(error: Error): void } | null = null

  private constructor(socket: Socket, host: string) {
    this.#socket = socket
    this.#host = host
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error(`${host} closed the connection`)))
  }

  /** Connects to `http://host:port`. */
  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port, host } = new URL(url)
    const socket = createConnection({ host: hostname, port: Number(port), noDelay: true })
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new HttpConnection(socket, host)
  }

  /** Sends a JSON body, or none where it is empty; `headers` are whole lines. Rejects when no whole answer comes. */
  request(method: string, path: string, headers: readonly string[], body = ''): Promise<Reply> {
    const type = body === '' ? [] : ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`]
    const head = [`${method} ${path} HTTP/1.1`, `host: ${this.#host}`, ...headers, ...type, '', body]
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(head.join('\r\n'))
    })
  }

  close(): void {
    this.#waiting = null
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const end = this.#received.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = this.#received.toString('latin1', 0, end)
    const status = Number(head.slice(9, 12))
    const length = /^content-length: *(\d+)/im.exec(head)?.[1]
    if (length === undefined && status !== 204) {
      this.#waiting?.reject(new Error(`an answer without content-length: ${head}`))
      return
    }
    const size = end + 4 + Number(length ?? 0)
    if (this.#received.length < size) return
    const body = this.#received.toString('utf8', end + 4, size)
    this.#received = this.#received.subarray(size)
    this.#waiting?.resolve({ status, body })
  }
}
