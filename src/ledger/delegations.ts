// What the stories need of delegations and of the tasks that they join.
import type { Delegation, DelegationRecord } from './delegation.js'
import type { Task } from './task.js'

export interface CreateDelegation {
  readonly id: string
  readonly record: DelegationRecord
  readonly ttlSeconds: number
  /** Null when the request was counted already. */
  readonly rate: { readonly account: string; readonly perMinute: number } | null
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
