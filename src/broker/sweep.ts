// What every worker does each quarter of a second, needing no queue: find what is due, half-made, late or lost.
import { isEnded } from '../ledger/lease.js'
import type { DueLease, DueTask } from '../ledger/ledger.js'
import { swept } from '../queue/revocation-queue.js'
import { beginBulk } from './end-bulk.js'
import { endTask } from './end-task.js'
import { expireApprovals } from './expire-approvals.js'
import { carryOut } from './force-revoke.js'
import type { Parts } from './parts.js'
import { recordEnded } from './records.js'
import { expireLocks } from './remove-lock.js'
import { revoke } from './revoke.js'
import type { SweepPool } from './sweep-pool.js'

const pageSize = 400
/**
 * A lease that was handed to the queue this long ago and was taken by nobody: its job is lost, or waits behind many. Adding the job
 * again is ignored while the first still waits, so the sweeper revokes it itself. Just below the 2 s after which the ledger hands a
 * due lease out again.
 */
const patienceMs = 1900

/**
 * One sweep. Returns how many leases were due; what no job could be added for is begun in `pool` and not waited for.
 * Throws `ledger_unavailable`; the next sweep tries again.
 */
export async function sweep(parts: Parts, pool: SweepPool): Promise<number> {
  const due = await parts.ledger.takeDue([...parts.providers.keys()], pageSize)
  for (const lease of due) parts.metrics.sweeperFinds.inc({ provider: lease.provider })
  await startRevocations(parts, due, pool)
  const tasks = endDueTasks(parts, pool, await parts.ledger.takeDueTasks(100))
  void pool.begin('orders:', await parts.ledger.takeDueRevocations(10), (id) =>
    carryOut(parts, id, pool.foreground).catch((error: unknown) =>
      parts.log.warn({ err: error, revocation: id }, 'an order waits for the next sweep'),
    ),
  )
  beginBulk(parts, pool)
  const upkeep = pool.begin('upkeep:', ['all'], () => keepUp(parts))
  await atMost(Promise.all([tasks, upkeep]), pauseMs)
  return due.length
}

/**
 * How long one sweep waits for work that may itself wait for the audit's disk. A slow disk must keep the sweep neither from what
 * else is due nor from being seen (no sweep for 10 s stops all issuing); without any wait a sweep with much to do would leave
 * nobody else a turn.
 */
const pauseMs = 250

async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}

async function endDueTasks(parts: Parts, pool: SweepPool, due: readonly DueTask[]): Promise<void> {
  const outcomes = new Map(due.map(({ task, outcome }) => [task, outcome]))
  await pool.begin('tasks:', [...outcomes.keys()], async (task) => {
    await endTask(parts, task, { outcome: outcomes.get(task) ?? 'deadline', actor: 'sweeper' }).catch(
      (error: unknown) => parts.log.warn({ err: error, task }, 'a due task waits for the next sweep'),
    )
  })
}

async function keepUp(parts: Parts): Promise<void> {
  try {
    await expireLocks(parts)
    await expireApprovals(parts)
    await writeOwed(parts)
  } catch (error) {
    parts.log.warn({ err: error }, 'locks, approvals and owed records wait for the next sweep')
  }
}

async function startRevocations(parts: Parts, due: readonly DueLease[], pool: SweepPool): Promise<void> {
  const isOurs = (lease: DueLease) => parts.providers.get(lease.provider)?.callsNobody === true
  const waiting = due.filter((lease) => lease.waitingMs <= patienceMs && !isOurs(lease))
  const overdue = due.filter((lease) => lease.waitingMs > patienceMs && !isOurs(lease))
  const unqueued = await parts.queue.add(waiting, swept).then(
    () => [],
    (error: unknown) => {
      parts.log.warn({ err: error, leases: waiting.length }, 'the queue takes no jobs: revoking without it')
      return waiting
    },
  )
  const revokeOne = async (lease: string) => {
    await revoke(parts, lease, pool.stopped).catch((error: unknown) =>
      parts.log.warn({ err: error, lease }, 'an overdue lease waits for the next sweep'),
    )
  }
  const alone = [...unqueued, ...overdue]
  for (const provider of new Set(alone.map((lease) => lease.provider))) {
    const leases = alone.filter((lease) => lease.provider === provider).map(({ lease }) => lease)
    void pool.begin(provider, leases, revokeOne)
  }
  // No far side to wait for: ten thousand that are due at once are over in the time that it would take to queue them.
  const ours = due.filter(isOurs).map(({ lease }) => lease)
  await pool.begin('ours:', ours, revokeOne, pageSize)
}

/** Ends whose audit record could not be written then. */
async function writeOwed(parts: Parts): Promise<void> {
  const owed = await parts.ledger.takeOwed(100)
  for (const lease of await parts.ledger.findLeases(owed)) {
    // A failure that was owed and is being tried again has nothing to say: its next outcome will.
    const isOutcome = isEnded(lease.state) || lease.state === 'failed'
    if (isOutcome && lease.receipt && (await recordEnded(parts, lease, lease.state, lease.receipt, true))) return
  }
  await Promise.all(owed.map((lease) => parts.ledger.owedWritten(lease)))
}
