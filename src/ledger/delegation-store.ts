// Delegations as they stand in Redis: `d:<delegation>`, gone when their time is up.
import type { Connection } from './connection.js'
import type { Delegation, DelegationRecord } from './delegation.js'
import { taskOf } from './replies.js'
import type { RunScript } from './scripts.js'
import type { Task } from './task.js'
import { orUnavailable } from './unavailable.js'

/** One task's that wait to be used: a loop of a caller's must not fill the ledger. */
const mostWaiting = 100

export interface CreateDelegation {
  readonly id: string
  readonly record: DelegationRecord
  readonly ttlSeconds: number
  readonly rate: { readonly account: string; readonly perMinute: number }
}

export type CreateDelegationAnswer =
  | { readonly outcome: 'ok'; readonly expiresAt: number }
  | { readonly outcome: 'closed' | 'quota' }
  | { readonly outcome: 'rate'; readonly retryAfterSeconds: number }

export interface DelegationStore {
  createDelegation(wanted: CreateDelegation): Promise<CreateDelegationAnswer>
  /** Null when it never was or its time is up. */
  findDelegation(id: string): Promise<Delegation | null>
  /** Those of these tasks that the ledger has, in the given order. */
  findTasks(ids: readonly string[]): Promise<Task[]>
  /** The task and all below it. */
  taskTree(root: string): Promise<string[]>
}

export function createDelegationStore(redis: Connection, tag: string, run: RunScript): DelegationStore {
  return {
    async createDelegation({ id, record, ttlSeconds, rate }) {
      const args = [id, JSON.stringify(record), ttlSeconds * 1000, mostWaiting, rate.account, rate.perMinute]
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
