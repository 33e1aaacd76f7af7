// Redis as operators run it, all on loopback: three sentinels over a primary and its replica, a cluster of three primaries
// with a replica each, and one server that speaks TLS only.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { freePort } from '../../scripts/servers/free-port.js'
import { findProgram, untilListening } from '../../src/dev/redis.js'

const run = promisify(execFile)

/** A server of a form, by its port. */
export interface RedisNode {
  readonly port: number
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** A killed one, at its port, with its folder and its settings. */
  restart(): Promise<void>
}

export interface RedisForm {
  readonly url: string | readonly string[]
  readonly prefix: string
  /** Where no server is to fail: longer than the host stands still. */
  readonly commandTimeoutMs?: number
  readonly ca?: string
  readonly nodes: readonly RedisNode[]
  stop(): Promise<void>
}

/** For tests without a failover: a busy host lets a server stand still for seconds, and nobody is to take its place then. */
export const calm = { deadAfterMs: 60_000 }
/** For those with one: no longer than it takes to be sure that only a server that was killed is taken for dead. */
const lively = { deadAfterMs: 4000 }

const aPrefix = () => `t${randomUUID().slice(0, 12)}`

/** Starts servers in folders below one of their own, and ends them and it. */
class Ground {
  readonly nodes: RedisNode[] = []
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
    process.once('exit', this.#endWithUs)
  }

  static async create(): Promise<Ground> {
    return new Ground(await mkdtemp(join(tmpdir(), 'hallpass-redis-form-')))
  }

  /** With its append-only file, as the ledger needs it. */
  async server(more: readonly string[]): Promise<RedisNode> {
    const durable = ['--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction']
    const synced = ['--repl-diskless-sync-delay', '0']
    return await this.start((port) => ['--port', `${port}`, ...durable, ...synced, ...more])
  }

  /** A port that was free may be taken meanwhile, and a cluster's node takes a second one, 10,000 above it: then another is tried. */
  async start(args: (port: number) => readonly string[]): Promise<RedisNode> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#startOn(await freePort(), args)
      } catch (error) {
        if (attempt === 3) throw error
      }
    }
  }

  async #startOn(port: number, args: (port: number) => readonly string[]): Promise<RedisNode> {
    const program = await findProgram('redis-server', process.env)
    if (program === null) throw new Error('these tests need redis-server on PATH')
    const directory = join(this.folder, `${port}`)
    await mkdir(directory)
    const all = [...args(port), '--bind', '127.0.0.1', '--dir', directory]
    let kill = async () => {}
    const begin = async () => {
      const child = spawn(program, all, { stdio: 'ignore', detached: true })
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      this.#children.add(child)
      kill = async () => {
        child.kill('SIGKILL')
        await gone
        this.#children.delete(child)
      }
      await untilListening(port)
    }
    const node = { port, kill: () => kill(), restart: begin }
    try {
      await begin()
    } catch (error) {
      await kill()
      throw error
    }
    this.nodes.push(node)
    return node
  }

  async stop(): Promise<void> {
    process.off('exit', this.#endWithUs)
    await Promise.all(this.nodes.map((node) => node.kill()))
    await rm(this.folder, { recursive: true, force: true })
  }

  readonly #children = new Set<ChildProcess>()
  readonly #endWithUs = () => {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

/** One server without TLS. */
export async function startPlain(): Promise<RedisForm> {
  const ground = await Ground.create()
  const { port } = await ground.server([])
  return formOf(ground, `redis://127.0.0.1:${port}`)
}

/** Certificates of a CA of its own, for 127.0.0.1. */
export async function startTls(): Promise<RedisForm> {
  const ground = await Ground.create()
  const at = (name: string) => join(ground.folder, name)
  const newKey = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  await run('openssl', [...newKey, '-subj', '/CN=test-ca', '-keyout', at('ca.key'), '-out', at('ca.pem')])
  const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-addext', 'subjectAltName=IP:127.0.0.1']
  const names = ['-subj', '/CN=redis', '-addext', 'basicConstraints=critical,CA:FALSE']
  await run('openssl', [...newKey, ...names, ...signed, '-keyout', at('redis.key'), '-out', at('redis.pem')])
  const tls = [
    '--tls-cert-file',
    at('redis.pem'),
    '--tls-key-file',
    at('redis.key'),
    '--tls-ca-cert-file',
    at('ca.pem'),
  ]
  const off = ['--tls-auth-clients', 'no', '--port', '0']
  const { port } = await ground.start((free) => ['--tls-port', `${free}`, ...off, ...tls, '--appendonly', 'yes'])
  return { ...formOf(ground, `rediss://127.0.0.1:${port}`), ca: await readFile(at('ca.pem'), 'utf8') }
}

/** The first node is the primary, the second its replica, then three sentinels that need two of them to agree. */
export async function startSentinels({ deadAfterMs } = lively): Promise<RedisForm> {
  const ground = await Ground.create()
  const primary = await ground.server([])
  await ground.server(['--replicaof', '127.0.0.1', `${primary.port}`])
  const ports: number[] = []
  for (let i = 0; i < 3; i++) {
    const file = join(ground.folder, `sentinel-${i}.conf`)
    const settings = [
      `sentinel monitor ledger 127.0.0.1 ${primary.port} 2`,
      `sentinel down-after-milliseconds ledger ${deadAfterMs}`,
      'sentinel failover-timeout ledger 5000',
    ]
    await writeFile(file, `${settings.join('\n')}\n`)
    const sentinel = await ground.start((port) => [file, '--sentinel', '--port', `${port}`])
    ports.push(sentinel.port)
  }
  await eventually(async () => {
    for (const port of ports) {
      const seen = await ask(port, (redis) => redis.call('SENTINEL', 'MASTER', 'ledger'))
      const fields = seen as string[]
      const at = (name: string) => fields[fields.indexOf(name) + 1]
      if (at('num-other-sentinels') !== '2' || at('num-slaves') !== '1') return false
    }
    return await haveReplicas([primary])
  })
  const url = `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/ledger`
  return formOf(ground, url, deadAfterMs === calm.deadAfterMs)
}

/** Three primaries with a replica each; the first three nodes are the primaries. */
export async function startCluster({ deadAfterMs } = lively): Promise<RedisForm> {
  const ground = await Ground.create()
  for (let i = 0; i < 6; i++) {
    await ground.server([
      '--cluster-enabled',
      'yes',
      // Whom a node has not met within this it never meets, and they are waited for without an end.
      '--cluster-node-timeout',
      `${calm.deadAfterMs}`,
      '--cluster-config-file',
      'nodes.conf',
    ])
  }
  const addresses = ground.nodes.map(({ port }) => `127.0.0.1:${port}`)
  await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'])
  await eventually(async () => {
    for (const { port } of ground.nodes) {
      const text = String(await ask(port, (redis) => redis.call('CLUSTER', 'INFO')))
      if (!text.includes('cluster_state:ok') || !text.includes('cluster_known_nodes:6')) return false
    }
    return await haveReplicas(ground.nodes.slice(0, 3))
  })
  for (const { port } of ground.nodes)
    await ask(port, (redis) => redis.config('SET', 'cluster-node-timeout', `${deadAfterMs}`))
  return formOf(
    ground,
    addresses.map((address) => `redis://${address}`),
    deadAfterMs === calm.deadAfterMs,
  )
}

/** A replica that never had its primary's data takes its place with nothing, or never. */
async function haveReplicas(primaries: readonly RedisNode[]): Promise<boolean> {
  const infos = await Promise.all(primaries.map(({ port }) => ask(port, (redis) => redis.info('replication'))))
  return infos.every((info) => /slave0:.*state=online/.test(info))
}

/** Runs one command at a node of its own, whoever its primary is. */
export async function ask<T>(port: number, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 1 })
  redis.on('error', () => undefined)
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

/** Sentinels that stood still for 2 s do nothing for half a minute. Throws with what the last look failed with. */
export async function eventually(isSo: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  const end = performance.now() + withinMs
  for (;;) {
    const last = await isSo().catch((error: unknown) => error)
    if (last === true) return
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${isSo.toString()}`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function formOf(ground: Ground, url: string | readonly string[], isCalm = true): RedisForm {
  const waits = isCalm ? { commandTimeoutMs: 20_000 } : {}
  return { ...waits, url, prefix: aPrefix(), nodes: ground.nodes, stop: () => ground.stop() }
}
