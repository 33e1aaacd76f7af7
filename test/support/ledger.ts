// A ledger on a real Redis, with tasks and leases to fill it, and a way to let time pass for one lease.
import { Redis } from 'ioredis'
import { systemClock } from '../../src/core/clock.js'
import { createId } from '../../src/core/ids.js'
import { connectFailFast, connectPatient, type RedisSettings, untilReady } from '../../src/ledger/connection.js'
import { holderId, ledgerTag } from '../../src/ledger/keys.js'
import type { LeaseRecord } from '../../src/ledger/lease.js'
import type { LeaseMatch, Ledger, Settlement } from '../../src/ledger/ledger.js'
import { openRedisLedger } from '../../src/ledger/redis-ledger.js'
import type { Task } from '../../src/ledger/task.js'
import type { OpenTask, Reservation } from '../../src/ledger/way-out.js'

export interface LedgerView {
  readonly ledger: Ledger
  /** To look behind the ledger's back. */
  readonly raw: Redis
  readonly tag: string
}

export interface TestLedger extends LedgerView {
  close(): Promise<void>
}

export async function openTestLedger(redis: RedisSettings & { lookAt?: string }): Promise<TestLedger> {
  const quiet = () => undefined
  const [commands, subscriber] = [connectFailFast(redis, quiet), connectPatient(redis, quiet)]
  // A busy machine takes longer than an operator would wait.
  await untilReady(commands, 30_000)
  const ledger = await openRedisLedger({ redis: commands, subscriber, prefix: redis.prefix }).catch(
    (error: unknown) => {
      commands.disconnect()
      subscriber.disconnect()
      throw error
    },
  )
  const raw = lookBehind(redis)
  await ledger.takeDue([], 1)
  return {
    ledger,
    raw,
    tag: ledgerTag(redis.prefix),
    async close() {
      raw.disconnect()
      await ledger.close()
    },
  }
}

/** A cluster takes the same commands by key. */
function lookBehind(redis: RedisSettings & { lookAt?: string }): Redis {
  const quiet = () => undefined
  const url = redis.lookAt ?? redis.url
  if (typeof url !== 'string' || !/^redis:/.test(url)) return connectPatient(redis, quiet) as Redis
  const raw = new Redis(url, { maxRetriesPerRequest: 1 })
  raw.on('error', quiet)
  return raw
}

let accounts = 0
export const anAccount = () => `ci:account-${process.pid}-${++accounts}`

export function aTask(over: Partial<Task> = {}): Task {
  const id = over.id ?? createId('task', systemClock.now())
  const account = over.account ?? anAccount()
  return {
    id,
    principal: account,
    account,
    instance: null,
    attributes: {},
    holders: [
      { id: holderId('account', account), kind: 'account', windowMs: 86_400_000 },
      { id: holderId('session', account), kind: 'session', windowMs: 28_800_000 },
    ],
    chain: [id],
    parent: null,
    depth: 0,
    purpose: 'a test',
    state: 'open',
    outcome: null,
    openedAt: 0,
    expiresAt: 0,
    endedAt: null,
    activeLeases: 0,
    ...over,
  }
}

/** A task below another: same holders, deadline never later. */
export function aChildOf(parent: Task): Task {
  const id = createId('task', systemClock.now())
  return {
    ...aTask({ account: parent.account }),
    id,
    chain: [id, ...parent.chain],
    parent: parent.id,
    depth: parent.depth + 1,
  }
}

export async function openTask(ledger: Ledger, task = aTask(), over: Partial<OpenTask> = {}): Promise<Task> {
  const answer = await ledger.openTask({
    task,
    ttlSeconds: 600,
    openTasksLimit: 100,
    ratePerMinute: 1_000_000,
    idempotency: null,
    ...over,
  })
  if (answer.outcome !== 'ok') throw new Error(`no task: ${answer.outcome}`)
  return answer.task
}

export function aRecord(task: Task, over: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    task: task.id,
    chain: task.chain,
    holders: task.holders.map((holder) => holder.id),
    principal: task.principal,
    account: task.account,
    action: 'repo.read',
    access: 'read',
    resource: 'repo:acme/web',
    provider: 'far',
    revocation: 'immediate',
    sessions: 'ended',
    mark: {},
    ttl: 60,
    policies: ['p1'],
    decision: 'dec_1',
    request: 'req_1',
    ...over,
  }
}

/** A reservation on the holders as they are now. */
export async function aReservation(
  ledger: Ledger,
  task: Task,
  record: Partial<LeaseRecord> = {},
  over: Partial<Reservation> = {},
): Promise<Reservation> {
  // On a busy machine a test can take longer than a ledger issues without a sweep.
  await ledger.takeDue([], 1)
  const look = await ledger.lookHolders(task.holders)
  return {
    lease: createId('lease', systemClock.now()),
    record: aRecord(task, record),
    holders: task.holders,
    versions: look.holders.map((holder) => holder.version),
    ttlSeconds: 60,
    providerTimeoutMs: 5000,
    idempotency: null,
    capacity: null,
    limits: { task: 1000, account: 1000, provider: 100_000 },
    locks: [],
    ...over,
  }
}

/** Reserves; the id of the lease. Throws on a refusal. */
export async function reserve(
  ledger: Ledger,
  task: Task,
  record: Partial<LeaseRecord> = {},
  over: Partial<Reservation> = {},
) {
  const reservation = await aReservation(ledger, task, record, over)
  const answer = await ledger.reserve(reservation)
  if (answer.outcome !== 'ok') throw new Error(`not reserved: ${JSON.stringify(answer)}`)
  return reservation.lease
}

export const anActivation = { sealedHandle: 'sealed', providerExpiresAt: 1, providerRef: 'ref', fingerprints: ['f1'] }

/** Reserved and activated. */
export async function activeLease(
  ledger: Ledger,
  task: Task,
  record: Partial<LeaseRecord> = {},
  over: Partial<Reservation> = {},
) {
  const lease = await reserve(ledger, task, record, over)
  const answer = await ledger.activate(lease, anActivation, [])
  if (answer.outcome !== 'ok') throw new Error(`not active: ${answer.outcome}`)
  return lease
}

export const settlementOf = (state: Settlement['state'], over: Partial<Settlement> = {}): Settlement => ({
  state,
  receipt: { outcome: 'confirmed', at: 1, evidence: 'probe_dead' },
  ...over,
})

/** Everything the ledger knows of this lease's times happened `ms` earlier: as if so much time had passed. */
export async function letTimePass({ raw, tag }: LedgerView, lease: string, ms: number): Promise<void> {
  const key = `${tag}l:${lease}`
  const fields = await raw.hgetall(key)
  for (const name of ['expires', 'mint', 'until', 'handed', 'ending', 'issued'] as const) {
    const value = fields[name]
    if (value !== undefined) await raw.hset(key, name, Number(value) - ms)
  }
  const { provider } = JSON.parse(fields.rec ?? '{}') as { provider: string }
  const due = await raw.zscore(`${tag}due:${provider}`, lease)
  if (due !== null) await raw.zadd(`${tag}due:${provider}`, Number(due) - ms, lease)
  const ending = await raw.zscore(`${tag}ending:${provider}`, lease)
  if (ending !== null) await raw.zadd(`${tag}ending:${provider}`, Number(ending) - ms, lease)
}

/** Many leases quickly: straight into the index, as the scripts write them. */
export async function manyLeases(at: LedgerView, provider: string, count: number): Promise<string[]> {
  const task = aTask()
  const ids = Array.from({ length: count }, (_, i) => `lease_${provider}_${i}`)
  const pipeline = at.raw.pipeline()
  for (const id of ids) {
    const rec = JSON.stringify(aRecord(task, { provider }))
    pipeline.hset(`${at.tag}l:${id}`, 'state', 'active', 'expires', 4e12, 'rec', rec)
    pipeline.zadd(`${at.tag}due:${provider}`, 4e12, id)
  }
  await pipeline.exec()
  return ids
}

/** All pages of a listing, of `limit` each. */
export async function listed(
  at: LedgerView,
  filter: LeaseMatch,
  names: readonly string[],
  limit: number,
): Promise<string[]> {
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const page = await at.ledger.scanLeases(filter, names, cursor, limit)
    if (page.leases.length > limit) throw new Error(`a page of ${page.leases.length}`)
    seen.push(...page.leases.map((lease) => lease.id))
    cursor = page.cursor
  } while (cursor !== null)
  return seen
}
