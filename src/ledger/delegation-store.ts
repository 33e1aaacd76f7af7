// Delegations as they stand in Redis: `d:<delegation>`, gone when their time is up.
import type { Connection } from './connection.js'
import type { DelegationRecord } from './delegation.js'
import type { DelegationStore } from './delegations.js'
import { taskOf } from './replies.js'
import type { RunScript } from './scripts.js'
import { orUnavailable } from './unavailable.js'

/** One task's that wait to be used: a loop of a caller's must not fill the ledger. */
const mostWaiting = 100

export function createDelegationStore(redis: Connection, tag: string, run: RunScript): DelegationStore {
  return {
    async createDelegation({ id, record, ttlSeconds, rate }) {
      const args = [
        id,
        JSON.stringify(record),
        ttlSeconds * 1000,
        mostWaiting,
        rate?.account ?? '',
        rate?.perMinute ?? 0,
      ]
      const answer = (await orUnavailable(run('create-delegation', ...args))) as [string, number]
      const [outcome, value] = answer
      if (outcome === 'ok') return { outcome, expiresAt: value }
      if (outcome === 'rate') return { outcome, retryAfterSeconds: Math.ceil(value / 1000) }
      return { outcome: outcome as 'closed' | 'quota' }
    },
    async findDelegation(id) {
      const { rec, expires, opened } = await orUnavailable(redis.hgetall(`${tag}d:${id}`))
      if (rec === undefined) return null
      const record = JSON.parse(rec) as DelegationRecord
      return { id, record, expiresAt: Number(expires), opened: opened ?? null }
    },
    async findTasks(ids) {
      const replies = await orUnavailable(Promise.all(ids.map((id) => redis.hgetall(`${tag}t:${id}`))))
      return ids.flatMap((id, i) => {
        const fields = replies[i]
        return fields?.state === undefined ? [] : [taskOf(id, fields)]
      })
    },
    async taskTree(root) {
      const tree = [root]
      for (let i = 0; i < tree.length; i++) {
        tree.push(...(await orUnavailable(redis.smembers(`${tag}t:${tree[i]}:c`))))
      }
      return tree
    },
  }
}
