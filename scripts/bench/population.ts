// Live leases by the ten thousand, laid into the ledger by the product's own scripts: asking for them over HTTP would take
// longer than the whole bench.
import { createId } from '../../src/core/ids.js'
import { Secret } from '../../src/core/secret.js'
import { type Connection, connectFailFast, connectPatient, untilReady } from '../../src/ledger/connection.js'
import type { LeaseRecord } from '../../src/ledger/lease.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import { openRedisLedger } from '../../src/ledger/redis-ledger.js'
import { createSealing } from '../../src/ledger/sealing.js'
import type { Task } from '../../src/ledger/task.js'
import type { Handle } from '../../src/providers/provider.js'
import { inTurns, recordOf, taskOf } from './due-leases.js'
import type { Ground } from './stack.js'

export interface OpenGround {
  readonly redis: Connection
  readonly ledger: Ledger
  seal(handle: Handle, lease: string, provider: string): string
  close(): Promise<void>
}

/** The ledger as the bench itself reads and fills it. */
export async function openGround(ground: Ground): Promise<OpenGround> {
  const settings = { url: ground.redisUrl, prefix: ground.prefix }
  const redis = connectFailFast(settings, () => undefined)
  await untilReady(redis, 5000)
  const subscriber = connectPatient(settings, () => undefined)
  const ledger = await openRedisLedger({ redis, subscriber, prefix: ground.prefix })
  const sealing = createSealing(new Secret(ground.sealingKey), ground.url)
  return { redis, ledger, seal: sealing.seal.bind(sealing), close: () => ledger.close() }
}

export interface Wanted {
  readonly leases: number
  readonly ttlSeconds: number
  /** The workload of the n-th task of `perTask` leases. */
  workload(task: number): string
  /** Over the record of the n-th lease. */
  record?(index: number): Partial<LeaseRecord>
  /** The handle of the n-th lease; a jwt of the provider `tokens` unless told. */
  handle?(index: number): Handle
}

const perTask = 50
const limits = { task: 1e9, account: 1e9, provider: 1e9 }

/** Lays them, active; their ids in the order of their numbers. */
export async function layLeases(on: OpenGround, wanted: Wanted): Promise<string[]> {
  const tasks = Array.from({ length: Math.ceil(wanted.leases / perTask) }, (_, i) => i)
  const pages = await inTurns(tasks, 32, async (i) => ({ i, ids: await layTask(on, wanted, i) }))
  return pages.sort((a, b) => a.i - b.i).flatMap(({ ids }) => ids)
}

async function layTask(on: OpenGround, wanted: Wanted, index: number): Promise<string[]> {
  const task = taskOf(wanted.workload(index))
  const request = { task, ttlSeconds: 7200, openTasksLimit: 1e9, ratePerMinute: null, idempotency: null }
  // Says that somebody sweeps, and takes nothing: where the worker is held, nothing would be reserved else.
  await on.ledger.takeDue([], 0)
  if ((await on.ledger.openTask(request)).outcome !== 'ok') throw new Error('a task was not opened')
  const ids: string[] = []
  let versions: readonly string[] = []
  const first = index * perTask
  for (let i = first; i < Math.min(first + perTask, wanted.leases); ) {
    const laid = await layLease(on, wanted, task, i, versions)
    if (laid === 'version') {
      versions = (await on.ledger.lookHolders(task.holders)).holders.map(({ version }) => version)
      continue
    }
    ids.push(laid)
    i++
  }
  return ids
}

async function layLease(on: OpenGround, wanted: Wanted, task: Task, index: number, versions: readonly string[]) {
  const id = createId('lease', Date.now())
  const record = { ...recordOf(task), ttl: wanted.ttlSeconds, ...wanted.record?.(index) }
  const answer = await on.ledger.reserve({
    lease: id,
    record,
    holders: task.holders,
    versions,
    ttlSeconds: wanted.ttlSeconds,
    providerTimeoutMs: 5000,
    idempotency: null,
    capacity: null,
    limits,
    locks: [],
  })
  if (answer.outcome === 'version') return 'version'
  if (answer.outcome !== 'ok') throw new Error(`a lease was not reserved: ${answer.outcome}`)
  const exp = Math.floor(answer.expiresAt / 1000)
  const handle = wanted.handle?.(index) ?? { jti: id, exp, verified_by: 'introspection' }
  const activation = {
    sealedHandle: on.seal(handle, id, record.provider),
    providerExpiresAt: exp * 1000,
    providerRef: id,
    fingerprints: ['0'.repeat(64)],
  }
  const activated = await on.ledger.activate(id, activation, [])
  if (activated.outcome !== 'ok') throw new Error(`a lease was not activated: ${activated.outcome}`)
  return id
}

/** When each ended, epoch milliseconds; null for one that has not. */
export async function endedAt(on: OpenGround, ground: Ground, ids: readonly string[]): Promise<(number | null)[]> {
  const times: (number | null)[] = []
  for (let i = 0; i < ids.length; i += 500) {
    const page = ids.slice(i, i + 500).map((id) => on.redis.hget(`{${ground.prefix}}:l:${id}`, 'ended'))
    for (const text of await Promise.all(page)) times.push(text === null ? null : Number(text))
  }
  return times
}
