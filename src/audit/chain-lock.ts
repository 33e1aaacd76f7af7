// One writer per chain. Holding the lock is listening on a Unix socket in the chain's folder: the kernel closes it with the
// process, however that dies, so a dead owner's lock is told from a live one's at once and without any time-out.
//
// Every contender listens on a socket of its own first and looks at the others' second. Of two at once the later to listen
// sees the earlier, so never both hold it; a fixed name, unlinked and bound anew, would let both through.
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'

export interface ChainLock {
  release(): Promise<void>
}

export class ChainLockedError extends Error {
  constructor(directory: string, owner: string) {
    super(`${directory}: another program writes this audit chain (${owner}); give each broker instance its own name`)
    this.name = 'ChainLockedError'
  }
}

const attempts = 10
const replyMs = 500

/** Takes the lock of a chain's folder, over a dead owner's too. Throws ChainLockedError when a live one holds it. */
export async function acquireChainLock(directory: string): Promise<ChainLock> {
  for (let attempt = 1; ; attempt++) {
    const contender = await Contender.listen(directory)
    const rival = await contender.findRival()
    if (!rival) {
      await contender.hold()
      return { release: () => contender.close() }
    }
    await contender.close()
    // Two contenders may have seen each other and both step back; a holder stays.
    if (rival.holds || attempt === attempts) throw new ChainLockedError(directory, rival.owner)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt))
  }
}

interface Rival {
  readonly holds: boolean
  readonly owner: string
}

class Contender {
  readonly #directory: string
  readonly #name: string
  readonly #server: Server
  readonly #folder: FileHandle
  #holds = false

  private constructor(directory: string, name: string, server: Server, folder: FileHandle) {
    this.#directory = directory
    this.#name = name
    this.#server = server
    this.#folder = folder
  }

  static async listen(directory: string): Promise<Contender> {
    const folder = await open(directory, 'r')
    const name = `lock-${randomBytes(6).toString('hex')}.sock`
    const server = createServer()
    const contender = new Contender(directory, name, server, folder)
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.end(`${contender.#holds ? 'holds' : 'asks'} process ${process.pid}`, () => socket.destroy())
    })
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(contender.#socketPath(name), resolve)
      })
    } catch (error) {
      await folder.close()
      throw error
    }
    server.unref()
    return contender
  }

  /** The path of a socket is at most 107 bytes and is cut without a word; through the open folder it is always short. */
  #socketPath(name: string): string {
    const path = join(this.#directory, name)
    if (Buffer.byteLength(path) <= 100) return path
    if (process.platform === 'linux') return `/proc/self/fd/${this.#folder.fd}/${name}`
    throw new Error(`${this.#directory}: this path is too long to hold a Unix socket; choose one under 70 characters`)
  }

  async findRival(): Promise<Rival | null> {
    const others = (await readdir(this.#directory)).filter(
      (name) => /^lock-[0-9a-f]+\.sock$/.test(name) && name !== this.#name,
    )
    for (const name of others) {
      const rival = await askRival(this.#socketPath(name))
      if (rival) return rival
    }
    // A holder that died just now may have cleared our socket away before it did: then nobody would see us.
    const stillThere = await stat(join(this.#directory, this.#name)).catch(() => null)
    return stillThere ? null : { holds: false, owner: 'unknown' }
  }

  async hold(): Promise<void> {
    this.#holds = true
    for (const name of await readdir(this.#directory)) {
      if (!/^lock-[0-9a-f]+\.sock$/.test(name) || name === this.#name) continue
      // Dead ones only: a contender that asks us right now must find its socket when it looks.
      if (!(await askRival(this.#socketPath(name)))) await unlink(join(this.#directory, name)).catch(() => {})
    }
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
    await this.#folder.close()
  }
}

/** Who listens there, or null when nobody does. A process that is stopped or busy does not answer, and is alive. */
function askRival(path: string): Promise<Rival | null> {
  return new Promise((resolve) => {
    let reply = ''
    const socket = connect(path)
    const silent = setTimeout(() => finish({ holds: true, owner: 'it does not answer' }), replyMs)
    const finish = (rival: Rival | null) => {
      clearTimeout(silent)
      socket.destroy()
      resolve(rival)
    }
    socket.on('data', (chunk) => {
      reply += chunk.toString('utf8')
    })
    socket.on('end', () => finish({ holds: reply.startsWith('holds'), owner: reply.replace(/^\w+ /, '') }))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const nobody = error.code === 'ECONNREFUSED' || error.code === 'ENOENT'
      finish(nobody ? null : { holds: true, owner: error.code ?? 'unknown' })
    })
  })
}
