// What Redis says of itself: memory, and how often it was read from.
import { constants, setPriority } from 'node:os'
import type { Connection } from '../../src/ledger/connection.js'

/** One section of INFO as numbers by name; what is no number is left out. */
async function readInfo(redis: Connection, section: string): Promise<Record<string, number>> {
  const text = String(await redis.info(section))
  return Object.fromEntries(
    text.split('\r\n').flatMap((line) => {
      const [name = '', value = ''] = line.split(':')
      return value !== '' && Number.isFinite(Number(value)) ? [[name, Number(value)]] : []
    }),
  )
}

/** Bytes that the data takes, keys and their tables included: without the buffers of clients and of the append-only file. */
export async function dataBytes(redis: Connection): Promise<number> {
  const { used_memory = 0, mem_clients_normal = 0, mem_aof_buffer = 0 } = await readInfo(redis, 'memory')
  return used_memory - mem_clients_normal - mem_aof_buffer
}

/** Network reads so far: with one caller who waits for each answer, its round trips. */
export async function readsSoFar(redis: Connection): Promise<number> {
  return (await readInfo(redis, 'stats')).total_reads_processed ?? 0
}

/**
 * Gives Redis the first turn at the processors, as on a host of its own: a call's length is measured by the clock, and beside
 * programs that keep all processors busy it would be theirs. False where that is not allowed.
 */
export async function preferRedis(redis: Connection): Promise<boolean> {
  const { process_id: pid } = await readInfo(redis, 'server')
  if (pid === undefined) return false
  try {
    setPriority(pid, constants.priority.PRIORITY_HIGHEST)
    return true
  } catch {
    return false
  }
}

/** Deletes everything that a bench left under its prefix in a Redis that was there before. */
export async function deleteByPrefix(redis: Connection, prefix: string): Promise<void> {
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `{${prefix}*`, 'COUNT', 1000)
    if (keys.length > 0) await redis.unlink(...keys)
    cursor = next
    if (next === '0') return
  }
}

export async function redisVersion(redis: Connection): Promise<string> {
  return /^redis_version:(\S+)/m.exec(String(await redis.info('server')))?.[1] ?? 'unknown'
}

/** Resolves when Redis writes no append-only file anew: what it just took in so quickly, it would rewrite beside the next load. */
export async function untilPersisted(redis: Connection): Promise<void> {
  for (;;) {
    const info = await redis.info('persistence')
    if (/^aof_rewrite_in_progress:0/m.test(info) && /^aof_rewrite_scheduled:0/m.test(info)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
