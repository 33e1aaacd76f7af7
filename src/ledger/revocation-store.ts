// Operators' orders that reach many leases: written first, carried out by a worker, readable while they run. And what the
// audit is owed.
import type { Connection } from './connection.js'
import { createFailedLeases } from './failed-leases.js'
import type { LeaseMatch, Revocation } from './ledger.js'
import { createLockStore } from './lock-store.js'
import type { RunScript } from './scripts.js'
import { orUnavailable } from './unavailable.js'

type Order = Pick<Revocation, 'match' | 'reason' | 'actor' | 'keepsTask'>

/** `channel`: where it is told that a lease was settled. */
export function createRevocationStore(redis: Connection, tag: string, run: RunScript, channel: string) {
  return {
    ...createLockStore(redis, tag, run),
    ...createFailedLeases(run, channel),
    async createRevocation(order: Pick<Revocation, 'id' | 'match' | 'reason' | 'actor' | 'keepsTask' | 'matched'>) {
      const { id, matched, ...stored } = order
      await run('create-revocation', id, JSON.stringify(stored), matched)
    },
    async findRevocation(id: string): Promise<Revocation | null> {
      const fields = await orUnavailable(redis.hgetall(`${tag}rev:${id}`))
      if (fields.order === undefined) return null
      const order = JSON.parse(fields.order) as Order & { match: LeaseMatch }
      const [matched, done, failed] = [Number(fields.matched), Number(fields.done), Number(fields.failed)]
      const over = fields.scanned === '1' && done + failed >= matched
      return { id, ...order, state: over ? 'done' : 'running', matched, done, failed }
    },
    async revocationScanned(id: string) {
      await run('revocation-scanned', id)
    },
    leasesOfRevocation: (id: string, offset: number, limit: number): Promise<string[]> =>
      orUnavailable(redis.zrange(`${tag}rev:${id}:l`, `${offset}`, `${offset + limit - 1}`)),
    takeOwed: (limit: number): Promise<string[]> => orUnavailable(redis.zrange(`${tag}owed`, '0', `${limit - 1}`)),
    async owedWritten(lease: string) {
      await orUnavailable(redis.zrem(`${tag}owed`, lease))
    },
  }
}
