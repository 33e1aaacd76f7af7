// A lock that spans brokers and workers, for the few provider calls that read, merge and write one shared thing (an AWS
// role's inline policies). It is a courtesy against lost updates, not what safety rests on: the writer reads back.
import { randomUUID } from 'node:crypto'
import type { Connection } from './connection.js'
import { ledgerTag } from './keys.js'
import { ledgerUnavailable, orUnavailable } from './unavailable.js'

export type LockRole = <T>(key: string, work: () => Promise<T>) => Promise<T>

const releaseIfMine = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

/**
 * `work` runs while nobody else holds the key, at most `heldMs`: longer than the work's own time-outs add up to.
 * Throws BrokerError `ledger_unavailable` when it cannot be had within that time.
 */
export function createRoleLock(redis: Connection, prefix: string, heldMs: number, monotonic: () => number): LockRole {
  return async (key, work) => {
    const name = `${ledgerTag(prefix)}role:${key}`
    const token = randomUUID()
    const until = monotonic() + heldMs
    while ((await orUnavailable(redis.set(name, token, 'PX', heldMs, 'NX'))) !== 'OK') {
      if (monotonic() > until) throw ledgerUnavailable()
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 30))
    }
    try {
      return await work()
    } finally {
      await redis.eval(releaseIfMine, 1, name, token).catch(() => undefined)
    }
  }
}
