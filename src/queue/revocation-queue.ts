// BullMQ is the worker's alarm and pool, never the truth: a job says only "look at this lease now". One queue per provider, so
// that a slow provider delays no other. The due index in the ledger finds whatever a lost job would have lost.
import { Queue } from 'bullmq'
import type { Connection } from '../ledger/connection.js'
import type { DueLease } from '../ledger/ledger.js'

/** BullMQ refuses `:` in queue names; the provider goes into the prefix, in a hash tag of its own. */
export const queueName = 'revocations'
/** Each provider's queue has a hash tag of its own, so that queues may lie on other nodes than the ledger. */
export const queuePrefix = (prefix: string, provider: string) => `{${prefix}:${provider}}`

/** Somebody waits for these: BullMQ takes jobs without a priority before all that have one. */
export const interactive = 0
/** What the sweeper found; nobody waits, but it is due. Lower is sooner. */
export const swept = 5
export const bulk = 10

export interface RevocationQueue {
  /** Adds a job per lease. Throws when Redis refuses (out of memory stops BullMQ altogether): the sweeper then does without. */
  add(leases: readonly DueLease[], priority: number): Promise<void>
  /** How many jobs wait and run. Throws while Redis is away. */
  depths(providers: readonly string[]): Promise<QueueDepth[]>
  close(): Promise<void>
}

export interface QueueDepth {
  readonly provider: string
  readonly waiting: number
  readonly active: number
}

/** `connection` fails fast: a job that cannot be added now is found by the sweeper. */
export function createRevocationQueue(
  connection: Connection,
  prefix: string,
  onError: (error: Error) => void,
): RevocationQueue {
  const queues = new Map<string, Queue>()
  const queueFor = (provider: string) => {
    const known = queues.get(provider)
    if (known) return known
    const queue = new Queue(queueName, { connection, prefix: queuePrefix(prefix, provider), skipMetasUpdate: true })
    queue.on('error', onError)
    queues.set(provider, queue)
    return queue
  }
  return {
    async add(leases, priority) {
      const byProvider = groupByProvider(leases)
      await Promise.all(
        [...byProvider].map(([provider, due]) =>
          queueFor(provider).addBulk(due.map((lease) => jobFor(lease, priority))),
        ),
      )
    },
    depths: (providers) =>
      Promise.all(
        providers.map(async (provider) => {
          const counts = await queueFor(provider).getJobCounts('wait', 'prioritized', 'delayed', 'active')
          const { wait = 0, prioritized = 0, delayed = 0, active = 0 } = counts
          return { provider, waiting: wait + prioritized + delayed, active }
        }),
      ),
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()))
    },
  }
}

/**
 * `attempts: 1` and removal on both ends: a job id that is kept as failed or delayed is silently ignored when added again, so
 * "revoke now" would be lost. Back-off, attempts and dead letters live in the ledger.
 */
function jobFor(due: DueLease, priority: number) {
  return {
    name: 'revoke',
    data: due.lease,
    opts: { jobId: `${due.lease}.${due.attempts}`, attempts: 1, removeOnComplete: true, removeOnFail: true, priority },
  }
}

function groupByProvider(leases: readonly DueLease[]): Map<string, DueLease[]> {
  const groups = new Map<string, DueLease[]>()
  for (const lease of leases) groups.set(lease.provider, [...(groups.get(lease.provider) ?? []), lease])
  return groups
}
