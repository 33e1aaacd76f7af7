// A real Redis for one stack: a process of its own that can be stopped and started again, else the one of REDIS_URL under
// a prefix of the stack's own.
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { forgetKeys } from '../../scripts/demo/forget-keys.js'
import { freePort } from '../../scripts/servers/free-port.js'
import { findProgram, startRedis } from '../../src/dev/redis.js'
import { startFormForTests } from './redis-by-form.js'

export interface StackRedis {
  /** As it stands in the configuration. */
  readonly url: string | readonly string[]
  /** The server that holds the ledger, for somebody who may everything. */
  readonly lookAt: string
  readonly prefix: string
  /** Whether it can be stopped: not when REDIS_URL named somebody's own. */
  readonly stoppable: boolean
  /** Its process, 0 when it is not ours. */
  pid(): number
  stop(signal?: NodeJS.Signals): Promise<void>
  /** At the same address, with the data of its append-only file. */
  start(): Promise<void>
  /** Stops it and forgets the stack's keys. */
  end(): Promise<void>
}

/** Takes REDIS_URL, else redis-server or valkey-server from PATH. */
export async function startStackRedis(directory: string, prefix: string): Promise<StackRedis> {
  const form = await startFormForTests(prefix)
  if (form !== null) {
    const url = await writeSecrets(directory, form.url)
    return { ...form, ...notStoppable, url, end: () => form.stop() }
  }
  const given = process.env.REDIS_URL
  if (given) return sharedRedis(given, prefix)
  const found = (await findProgram('redis-server', process.env)) ?? (await findProgram('valkey-server', process.env))
  if (found === null) throw new Error('no Redis: set REDIS_URL, or install redis-server or valkey-server')
  let running = await startRedis(found, directory, await freePort())
  const { url, port } = running
  let stopped = false
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (stopped) return
    stopped = true
    if (signal !== 'SIGTERM') process.kill(running.pid, signal)
    await running.stop()
  }
  return {
    url,
    lookAt: url,
    prefix,
    stoppable: true,
    pid: () => running.pid,
    stop,
    async start() {
      running = await startRedis(found, directory, port)
      stopped = false
    },
    end: () => stop(),
  }
}

/** A URL with a password is a secret, which a configuration only refers to: by files of the folder beside it. */
async function writeSecrets(directory: string, url: string | readonly string[]): Promise<string | string[]> {
  await mkdir(directory, { mode: 0o700 })
  const write = async (one: string, name: string) => {
    await writeFile(join(directory, name), one, { mode: 0o600 })
    return `file:${basename(directory)}/${name}`
  }
  if (typeof url === 'string') return await write(url, 'url')
  return await Promise.all(url.map((one, i) => write(one, `url-${i}`)))
}

async function refuse(): Promise<never> {
  throw new Error('REDIS_URL or a form of Redis is not ours to stop; this test needs redis-server on PATH')
}

const notStoppable = { stoppable: false, pid: () => 0, stop: refuse, start: refuse }

function sharedRedis(url: string, prefix: string): StackRedis {
  return { url, lookAt: url, prefix, ...notStoppable, end: () => forgetKeys(url, prefix) }
}
