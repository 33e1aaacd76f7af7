// BullMQ jobs → broker.revoke. One worker per provider with a concurrency of its own: a slow provider delays no other.
import { setMaxListeners } from 'node:events'
import { type Job, Worker } from 'bullmq'
import { ForegroundGate } from '../broker/foreground-gate.js'
import { handBackAfter } from '../broker/hand-back.js'
import type { Parts } from '../broker/parts.js'
import { revoke } from '../broker/revoke.js'
import type { Connection } from '../ledger/connection.js'
import { interactive, queueName, queuePrefix } from '../queue/revocation-queue.js'

export interface RevocationWorkers {
  /** Takes no more jobs and resolves when those under way are over, or were handed back after `withinMs`. */
  drain(withinMs?: number): Promise<void>
}

/** `connect` gives a connection that waits through outages (BullMQ's blocking reads need one of their own). */
export function startRevocationWorkers(
  parts: Parts,
  connect: () => Connection,
  prefix: string,
  foreground = new ForegroundGate(),
): RevocationWorkers {
  const stop = new AbortController()
  // One listener per revocation under way.
  setMaxListeners(0, stop.signal)
  const run = (job: Job<string>) => {
    const work = revoke(parts, job.data, stop.signal)
    return job.priority === interactive ? foreground.runFirst(work) : work
  }
  const workers = [...parts.providers.values()].map((provider) => {
    const worker = new Worker<string>(queueName, async (job) => await run(job), {
      connection: connect(),
      prefix: queuePrefix(prefix, provider.name),
      concurrency: provider.concurrency,
      runRetryDelay: 1000,
      // The ledger's claims say what is stalled; BullMQ's own check only puts a job back that the sweeper finds anyway.
      stalledInterval: 30_000,
      maxStalledCount: 1,
      skipVersionCheck: true,
    })
    // A failed job is no loss: the lease stays due. Without a listener the event would end the process.
    worker.on('failed', (job, error) => parts.log.warn({ err: error, lease: job?.data }, 'a revocation job failed'))
    worker.on('error', (error) =>
      parts.log.warn({ err: error, provider: provider.name }, 'the queue cannot be reached'),
    )
    return worker
  })
  return {
    async drain(withinMs = Number.POSITIVE_INFINITY) {
      await handBackAfter(Promise.all(workers.map((worker) => worker.close())), stop, withinMs)
    },
  }
}
