// Ten thousand leases that are due at once. They are laid into the ledger by the product's own scripts, since asking for them
// over HTTP would take longer than the whole bench; what ends them is the worker as it is.
import { createId } from '../../src/core/ids.js'
import { Secret } from '../../src/core/secret.js'
import { connectFailFast, connectPatient, untilReady } from '../../src/ledger/connection.js'
import { holderId } from '../../src/ledger/keys.js'
import type { LeaseRecord } from '../../src/ledger/lease.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import { openRedisLedger } from '../../src/ledger/redis-ledger.js'
import { createSealing } from '../../src/ledger/sealing.js'
import type { Task } from '../../src/ledger/task.js'
import { dataBytes } from './redis-figures.js'
import type { Ground } from './stack.js'
import { actionAndResource } from './stories.js'

export interface Drain {
  readonly leases: number
  readonly seconds: number
  /** What they took in Redis while they lived, with their tasks, holders and every index. */
  readonly bytesPerLease: number
}

const perTask = 50
const limits = { task: 1e9, account: 1e9, provider: 1e9 }
// From its reservation to its activation a lease must live, also where the machine stands still in between.
const lifetimeSeconds = 6

/** Stops the worker (SIGSTOP), lets `count` leases come due, lets it go on, and times until all have ended. */
export async function measureDrain(ground: Ground, workerPid: number, count: number): Promise<Drain> {
  const settings = { url: ground.redisUrl, prefix: ground.prefix }
  const redis = connectFailFast(settings, () => undefined)
  await untilReady(redis, 5000)
  const ledger = await openRedisLedger({
    redis,
    subscriber: connectPatient(settings, () => undefined),
    prefix: ground.prefix,
  })
  const due = () => redis.zcount(`{${ground.prefix}}:due:tokens`, '-inf', Date.now() + 60_000)
  process.kill(workerPid, 'SIGSTOP')
  try {
    const before = await dataBytes(redis)
    const sealing = createSealing(new Secret(ground.sealingKey), ground.url)
    const tasks = Array.from({ length: Math.ceil(count / perTask) }, (_, i) => i)
    const ids = (await inTurns(tasks, 16, (i) => layTask(ledger, sealing, i))).flat()
    const bytesPerLease = ((await dataBytes(redis)) - before) / ids.length
    await new Promise((resolve) => setTimeout(resolve, lifetimeSeconds * 1000 + 100))
    if ((await due()) !== ids.length) throw new Error(`${await due()} of ${ids.length} leases are due`)
    const start = performance.now()
    process.kill(workerPid, 'SIGCONT')
    while ((await due()) > 0) {
      if (performance.now() - start > 60_000) throw new Error(`${await due()} leases are still due after a minute`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const seconds = (performance.now() - start) / 1000
    await checkEnded(ledger, ids)
    return { leases: ids.length, seconds, bytesPerLease }
  } finally {
    process.kill(workerPid, 'SIGCONT')
    await ledger.close()
  }
}

/** A task of a workload of its own with `perTask` active leases, each with a sealed handle. */
async function layTask(ledger: Ledger, sealing: ReturnType<typeof createSealing>, index: number): Promise<string[]> {
  const task = taskOf(`workload-${index}`)
  const request = { task, ttlSeconds: 3600, openTasksLimit: 1e9, ratePerMinute: 1e9, idempotency: null }
  // Says that somebody sweeps, and takes nothing: the held worker cannot, and without a sweep nothing is reserved.
  await ledger.takeDue([], 0)
  if ((await ledger.openTask(request)).outcome !== 'ok') throw new Error('a task was not opened')
  const ids: string[] = []
  for (let i = 0; i < perTask; i++) ids.push(await layLease(ledger, sealing, task))
  return ids
}

async function layLease(ledger: Ledger, sealing: ReturnType<typeof createSealing>, task: Task): Promise<string> {
  const id = createId('lease', Date.now())
  const record = recordOf(task)
  for (;;) {
    const look = await ledger.look(task.id, null, null)
    if (look === 'not_found' || 'rateRetryAfterSeconds' in look) throw new Error('the task is gone')
    const answer = await ledger.reserve({
      lease: id,
      record,
      holders: task.holders,
      versions: look.holders.map((holder) => holder.version),
      ttlSeconds: lifetimeSeconds,
      providerTimeoutMs: 5000,
      idempotency: null,
      capacity: null,
      limits,
      locks: [],
    })
    if (answer.outcome === 'version') continue
    if (answer.outcome !== 'ok') throw new Error(`a lease was not reserved: ${answer.outcome}`)
    const exp = Math.floor(answer.expiresAt / 1000)
    const sealedHandle = sealing.seal({ jti: id, exp, verified_by: 'introspection' }, id, 'tokens')
    const activation = { sealedHandle, providerExpiresAt: exp * 1000, providerRef: id, fingerprints: ['0'.repeat(64)] }
    const activated = await ledger.activate(id, activation, [])
    if (activated.outcome !== 'ok') throw new Error(`a lease was not activated: ${activated.outcome}`)
    return id
  }
}

export function taskOf(subject: string): Task {
  const id = createId('task', Date.now())
  const account = `agents:${subject}`
  return {
    id,
    principal: account,
    account,
    instance: null,
    attributes: { team: 'web' },
    holders: [
      { id: holderId('account', account), kind: 'account', windowMs: 86_400_000 },
      { id: holderId('session', account), kind: 'session', windowMs: 28_800_000 },
    ],
    chain: [id],
    parent: null,
    depth: 0,
    purpose: 'a bench',
    state: 'open',
    outcome: null,
    openedAt: Date.now(),
    expiresAt: Date.now() + 3_600_000,
    endedAt: null,
    activeLeases: 0,
  }
}

export const recordOf = (task: Task): LeaseRecord => ({
  task: task.id,
  chain: task.chain,
  holders: task.holders.map((holder) => holder.id),
  principal: task.principal,
  account: task.account,
  ...actionAndResource,
  access: 'read',
  sensitivity: 'low',
  provider: 'tokens',
  revocation: 'immediate',
  sessions: 'may_continue',
  mark: {},
  ttl: lifetimeSeconds,
  policies: ['agents-read'],
  decision: createId('dec', Date.now()),
  request: createId('req', Date.now()),
})

async function checkEnded(ledger: Ledger, ids: readonly string[]): Promise<void> {
  for (let i = 0; i < ids.length; i += 500) {
    for (const lease of await ledger.findLeases(ids.slice(i, i + 500))) {
      if (lease.state !== 'expired' || lease.receipt?.outcome !== 'confirmed') {
        throw new Error(`${lease.id} is ${lease.state} with ${lease.receipt?.outcome}`)
      }
    }
  }
}

export async function inTurns<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const rest = [...items]
  const lane = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) results.push(await work(item))
  }
  await Promise.all(Array.from({ length: width }, lane))
  return results
}
