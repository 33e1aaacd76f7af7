// A real Redis per test file: one of its own on loopback, or the one at REDIS_URL under a random prefix.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../../scripts/servers/free-port.js'
import { type FoundRedis, findProgram, startRedis } from '../../src/dev/redis.js'
import { startFormForTests } from './redis-by-form.js'

export interface TestRedis {
  readonly url: string | readonly string[]
  /** Where `url` is not one server's, or not of a user who may look behind the ledger's back: the server that holds it. */
  readonly lookAt?: string
  /** No other test's keys start with it. */
  readonly prefix: string
  /** Where a test is not about a Redis that hangs: longer than the host stands still. */
  readonly commandTimeoutMs?: number
  stop(): Promise<void>
}

/** A server that a test may kill, restart and squeeze. */
export interface OwnRedis extends TestRedis {
  readonly url: string
  /** SIGKILL: nothing is flushed, no connection is closed politely. Resolves when the process is gone. */
  kill(): Promise<void>
  /** The same server again: same port, same folder. */
  restart(): Promise<void>
}

/** By default nothing waits for an answer for longer than 2 s, also where this very process stood still. */
const patient = { commandTimeoutMs: 20_000 }
const aPrefix = () => `t${randomUUID().slice(0, 12)}`

export async function startTestRedis(): Promise<TestRedis> {
  const form = await startFormForTests()
  if (form !== null) return form
  const given = process.env.REDIS_URL
  if (!given) return { ...(await startOwnRedis()), ...patient }
  const prefix = aPrefix()
  return { ...patient, url: given, prefix, stop: () => deletePrefix(given, prefix) }
}

/** `more`: further settings of the server, as on its command line. */
export async function startOwnRedis(more: readonly string[] = []): Promise<OwnRedis> {
  const program = (await findProgram('redis-server', process.env)) ?? (await findProgram('valkey-server', process.env))
  if (program === null) throw new Error('these tests need redis-server or valkey-server on PATH, or REDIS_URL')
  const directory = await mkdtemp(join(tmpdir(), 'hallpass-redis-'))
  let server = await startRedis(program, directory, await freePort(), more)
  const { port, url } = server
  const endWithUs = () => endByPid(server, 'SIGKILL')
  process.once('exit', endWithUs)
  return {
    url,
    prefix: aPrefix(),
    async kill() {
      endByPid(server, 'SIGKILL')
      // The exit was seen already or comes now: stop() sends to nobody and waits for it.
      await server.stop()
    },
    async restart() {
      server = await startRedis(program, directory, port, more)
    },
    async stop() {
      process.off('exit', endWithUs)
      await server.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function endByPid(server: FoundRedis & { pid: number }, signal: NodeJS.Signals): void {
  try {
    process.kill(server.pid, signal)
  } catch {
    // It is gone already.
  }
}

async function deletePrefix(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url)
  const names = await keysUnder(redis, prefix)
  if (names.length > 0) await redis.del(...names)
  redis.disconnect()
}

/** Every key of a ledger and of its queues, by SCAN. */
export async function keysUnder(redis: Redis, prefix: string): Promise<string[]> {
  const names = new Set<string>()
  for (let cursor = '0'; ; ) {
    const [next, page] = await redis.scan(cursor, 'MATCH', `{${prefix}*`, 'COUNT', 1000)
    for (const name of page) names.add(name)
    cursor = next
    if (cursor === '0') return [...names].sort()
  }
}
