// The stage of the story tests: one Redis, one far side, one broker on them (more where a test says so), and what a caller,
// an operator and a worker do, each as one call.
import type { CredentialRequest } from '../../src/api/credentials.js'
import { endTask } from '../../src/broker/end-task.js'
import { type Exchanged, exchange } from '../../src/broker/exchange.js'
import type { Idempotency } from '../../src/broker/idempotency.js'
import { openTask } from '../../src/broker/open-task.js'
import type { Caller } from '../../src/broker/parts.js'
import { revoke } from '../../src/broker/revoke.js'
import { sweep } from '../../src/broker/sweep.js'
import { SweepPool } from '../../src/broker/sweep-pool.js'
import { BrokerError } from '../../src/core/errors.js'
import type { Principal } from '../../src/identity/principal.js'
import type { RedisSettings } from '../../src/ledger/connection.js'
import { isEnded, type Lease } from '../../src/ledger/lease.js'
import type { Task } from '../../src/ledger/task.js'
import { type BrokerSettings, startTestBroker, type TestBroker } from './broker.js'
import { FarSide } from './far-side.js'
import { letTimePass, openTestLedger, type TestLedger } from './ledger.js'
import { type OwnRedis, startOwnRedis, startTestRedis } from './redis.js'
import { anOperator, aWorkload } from './story-config.js'

type StageRedis = RedisSettings & { readonly lookAt?: string; stop(): Promise<void> }

export class Story {
  readonly redis: StageRedis
  readonly far: FarSide
  readonly farUrl: string
  readonly broker: TestBroker
  /** Behind the broker's back. */
  readonly at: TestLedger
  readonly pool = new SweepPool()
  #requests = 0

  constructor(redis: StageRedis, far: FarSide, farUrl: string, broker: TestBroker, at: TestLedger) {
    this.redis = redis
    this.far = far
    this.farUrl = farUrl
    this.broker = broker
    this.at = at
  }

  get parts() {
    return this.broker.parts
  }

  /** Each name is an account of its own; a new one unless told. */
  caller(name = `agent-${process.pid}-${++this.#requests}`, over: Partial<Principal> = {}): Caller {
    return { principal: aWorkload(name, over), requestId: `req_${++this.#requests}` }
  }

  operator(): Caller {
    return { principal: anOperator(), requestId: `req_${++this.#requests}` }
  }

  async task(caller: Caller, ttlSeconds = 600): Promise<Task> {
    // The sign that somebody sweeps: without one that is younger than 10 s nothing is issued.
    await this.parts.ledger.takeDue([], 1)
    return (await openTask(this.parts, caller, { purpose: 'a story', ttl_seconds: ttlSeconds }, null)).task
  }

  buy(caller: Caller, task: Task, over: Partial<CredentialRequest> = {}, idempotency: Idempotency | null = null) {
    // The sign once more: its task may have been opened long ago. Not waited for: on this connection it goes first.
    void this.parts.ledger.takeDue([], 1).catch(() => undefined)
    return exchange(this.parts, caller, task.id, asking(over), idempotency)
  }

  /** A new caller's credential in a new task. */
  async bought(over: Partial<CredentialRequest> = {}): Promise<Exchanged & { caller: Caller; task: Task }> {
    const caller = this.caller()
    const task = await this.task(caller)
    return { caller, task, ...(await this.buy(caller, task, over)) }
  }

  endTask(task: Task, outcome = 'succeeded'): Promise<string[]> {
    return endTask(this.parts, task.id, { outcome, actor: 'caller' })
  }

  async lease(id: string): Promise<Lease> {
    const lease = await this.parts.ledger.findLease(id)
    if (!lease) throw new Error(`no lease ${id}`)
    return lease
  }

  async onlyLeaseOf(task: Task): Promise<Lease> {
    const leases = await this.parts.ledger.leasesOfTask(task.id)
    if (leases.length !== 1) throw new Error(`${leases.length} leases`)
    return await this.lease(leases[0] ?? '')
  }

  /** What a worker does with a job: attempts until the lease has ended, for at most 5 s. */
  async finish(id: string): Promise<Lease> {
    for (let i = 0; i < 100; i++) {
      await revoke(this.parts, id)
      const lease = await this.lease(id)
      if (isEnded(lease.state)) return lease
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`${id} does not end: ${JSON.stringify(await this.lease(id))}`)
  }

  /** One attempt, as a worker's job makes it. */
  async attempt(id: string): Promise<Lease> {
    await revoke(this.parts, id)
    return await this.lease(id)
  }

  /** One sweep, and what it began. */
  async sweep(): Promise<void> {
    await sweep(this.parts, this.pool)
    await this.pool.settled()
  }

  pass(lease: string, ms: number): Promise<void> {
    return letTimePass(this.at, lease, ms)
  }

  async records(event?: string) {
    return (await this.broker.records()).filter((record) => event === undefined || record.event === event)
  }

  async recordsOf(lease: string) {
    return (await this.broker.records()).filter((record) => record.lease === lease)
  }

  async close(): Promise<void> {
    await this.pool.stop()
    await this.at.close()
    await this.broker.close()
    await this.far.close()
    await this.redis.stop()
  }
}

export const asking = (over: Partial<CredentialRequest> = {}): CredentialRequest => ({
  action: 'repo.read',
  resource: 'repo:acme/web',
  context: {},
  ...over,
})

/** On any form of Redis; it is stopped with the story. */
export async function stage(redis: StageRedis, settings: Partial<BrokerSettings> = {}): Promise<Story> {
  const far = new FarSide()
  const url = await far.listen()
  const broker = await startTestBroker({ redis, far: url, ...settings })
  return new Story(redis, far, url, broker, await openTestLedger(redis))
}

export const startStory = async (settings: Partial<BrokerSettings> = {}) => stage(await startTestRedis(), settings)

/** With a Redis that the test may kill. */
export async function startStoryOnOwnRedis(settings: Partial<BrokerSettings> = {}) {
  const redis: OwnRedis = await startOwnRedis()
  return { redis, story: await stage(redis, settings) }
}

/** The BrokerError that the work ends with. */
export async function refusalOf(work: Promise<unknown>): Promise<BrokerError> {
  try {
    await work
  } catch (error) {
    if (error instanceof BrokerError) return error
    throw error
  }
  throw new Error('it was not refused')
}

export const codeOf = async (work: Promise<unknown>) => (await refusalOf(work)).code
