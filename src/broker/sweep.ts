// What every worker does each quarter of a second, needing no queue: find what is due, half-made, late or lost.

import type { DueLease } from '../ledger/ledger.js'
import { interactive } from '../queue/revocation-queue.js'
import { endTask } from './end-task.js'
import { carryOut } from './force-revoke.js'
import type { Parts } from './parts.js'
import { recordEnded } from './records.js'
import { revoke } from './revoke.js'

const pageSize = 500
/** Handed to the queue that long ago and taken by nobody: the queue is not working, so the sweeper does it itself. */
const patienceMs = 5000
const atOnce = 16

/** One sweep. Returns how many leases were due. Throws `ledger_unavailable`; the next sweep tries again. */
export async function sweep(parts: Parts): Promise<number> {
  const due = await parts.ledger.takeDue([...parts.providers.keys()], pageSize)
  for (const lease of due) parts.metrics.sweeperFinds.inc({ provider: lease.provider })
  await startRevocations(parts, due)
  for (const task of await parts.ledger.takeDueTasks(100)) {
    await endTask(parts, task, 'deadline', 'sweeper', null).catch((error: unknown) =>
      parts.log.warn({ err: error, task }, 'a due task waits for the next sweep'),
    )
  }
  for (const id of await parts.ledger.takeDueRevocations(10)) await carryOut(parts, id)
  await writeOwed(parts)
  return due.length
}

async function startRevocations(parts: Parts, due: readonly DueLease[]): Promise<void> {
  const waiting = due.filter((lease) => lease.waitingMs <= patienceMs)
  const overdue = due.filter((lease) => lease.waitingMs > patienceMs)
  const unqueued = await parts.queue.add(waiting, interactive).then(
    () => [],
    (error: unknown) => {
      parts.log.warn({ err: error, leases: waiting.length }, 'the queue takes no jobs: revoking without it')
      return waiting
    },
  )
  await inParallel([...unqueued, ...overdue], atOnce, async ({ lease }) => {
    await revoke(parts, lease).catch((error: unknown) =>
      parts.log.warn({ err: error, lease }, 'an overdue lease waits for the next sweep'),
    )
  })
}

/** Ends whose audit record could not be written then. */
async function writeOwed(parts: Parts): Promise<void> {
  const owed = await parts.ledger.takeOwed(100)
  for (const lease of await parts.ledger.findLeases(owed)) {
    if (lease.receipt && (await recordEnded(parts, lease, lease.state, lease.receipt, true))) return
  }
  await Promise.all(owed.map((lease) => parts.ledger.owedWritten(lease)))
}

async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items]
  const lane = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(width, rest.length) }, lane))
}
