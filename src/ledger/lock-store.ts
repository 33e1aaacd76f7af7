// Locks as they stand in Redis: `locked` counts them by target, `locks` holds their records, `lockers` says which lock a
// target is under, so that whoever is stopped can be told why.
import type { Connection } from './connection.js'
import type { SetLock, SetLockAnswer } from './ledger.js'
import { type Lock, lockName } from './lock.js'
import type { RunScript } from './scripts.js'
import { orUnavailable } from './unavailable.js'

/** An unbounded key is a future outage. */
const mostLocks = 10_000

interface Stored {
  readonly name: string
  readonly lock: string
  readonly at: number
  readonly expires?: number
}

type Lasting = Pick<Lock, 'target' | 'reason' | 'actor'>

function lockOf(id: string, text: string): Lock {
  const stored = JSON.parse(text) as Stored
  const lasting = JSON.parse(stored.lock) as Lasting
  return { id, ...lasting, createdAt: stored.at, expiresAt: stored.expires ?? null }
}

export function createLockStore(redis: Connection, tag: string, run: RunScript) {
  const findLocks = async (ids: readonly string[]): Promise<Lock[]> => {
    if (ids.length === 0) return []
    const texts = await orUnavailable(redis.hmget(`${tag}locks`, ...ids))
    return ids.flatMap((id, i) => {
      const text = texts[i]
      return text == null ? [] : [lockOf(id, text)]
    })
  }
  return {
    async setLock({ id, target, reason, actor, expiresAt, lastsMs, order }: SetLock): Promise<SetLockAnswer> {
      const { id: orderId, ...ordered } = order
      const lasting: Lasting = { target, reason, actor }
      const args = [id, lockName(target), JSON.stringify(lasting), expiresAt ?? '', lastsMs ?? '', mostLocks]
      const answer = await run('set-lock', ...args, orderId, JSON.stringify(ordered))
      const [outcome, at, expires] = answer as ['ok' | 'past' | 'full', number, number | '']
      if (outcome !== 'ok') return { outcome }
      return { outcome, lock: { id, ...lasting, createdAt: at, expiresAt: expires === '' ? null : Number(expires) } }
    },
    async removeLock(id: string): Promise<Lock | null> {
      const stored = (await run('remove-lock', id)) as string | null
      return stored === null ? null : lockOf(id, stored)
    },
    findLock: async (id: string): Promise<Lock | null> => (await findLocks([id]))[0] ?? null,
    async listLocks(offset: number, limit: number): Promise<Lock[]> {
      // Ids sort by age.
      const ids = (await orUnavailable(redis.hkeys(`${tag}locks`))).sort()
      return await findLocks(ids.slice(offset, offset + limit))
    },
    async findLockOn(names: readonly string[]): Promise<Lock | null> {
      const by = await orUnavailable(redis.hmget(`${tag}lockers`, ...names))
      const first = by.find((ids) => ids != null)?.split(',')[0]
      return first === undefined ? null : ((await findLocks([first]))[0] ?? null)
    },
    takeDueLocks: async (limit: number): Promise<string[]> => (await run('take-due-names', 'locks', limit)) as string[],
  }
}
