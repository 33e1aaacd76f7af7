// One ledger for all tests of a file, and what they look up behind its back.
import { afterAll, beforeAll } from '@jest/globals'
import { type Connection, connectFailFast, untilReady } from '../../src/ledger/connection.js'
import { createRestoration, type Restoration } from '../../src/ledger/restoration.js'
import type { Task } from '../../src/ledger/task.js'
import { type LedgerView, openTestLedger, type TestLedger } from './ledger.js'
import { startTestRedis, type TestRedis } from './redis.js'

export interface LedgerOfFile extends LedgerView {
  readonly redis: TestRedis
  /** Writes again what it lost. */
  readonly restoration: Restoration
  /** Null: the sorted set, named without the ledger's tag, has no such member. */
  scoreOf(key: string, member: string): Promise<number | null>
  /** The lease as Redis holds it. */
  fieldsOf(lease: string): Promise<Record<string, string>>
}

/** Called once, at the top of a test file: opened before its first test, closed after its last. Only tests may ask it. */
export function ledgerOfThisFile(): LedgerOfFile {
  let redis: TestRedis | undefined
  let opened: TestLedger | undefined
  let connection: Connection | undefined
  let restoration: Restoration | undefined
  beforeAll(async () => {
    redis = await startTestRedis()
    opened = await openTestLedger(redis)
    connection = connectFailFast(redis, () => undefined)
    await untilReady(connection, 30_000)
    restoration = createRestoration(connection, redis.prefix)
  })
  afterAll(async () => {
    connection?.disconnect()
    await opened?.close()
    await redis?.stop()
  })
  const there = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error('no ledger before the first test')
    return part
  }
  return {
    get redis() {
      return there(redis)
    },
    get restoration() {
      return there(restoration)
    },
    get ledger() {
      return there(opened).ledger
    },
    get raw() {
      return there(opened).raw
    },
    get tag() {
      return there(opened).tag
    },
    async scoreOf(key, member) {
      const found = await this.raw.zscore(`${this.tag}${key}`, member)
      return found === null ? null : Number(found)
    },
    async fieldsOf(lease) {
      return await this.raw.hgetall(`${this.tag}l:${lease}`)
    },
  }
}

let providers = 0
/** A provider of this test's own, so that counts and queues by provider are its own, too. */
export const aProvider = () => ({ provider: `p${++providers}` })

/** What stands beside a lease: when it is due, since when it should be dead, as what it is counted, who holds how many. */
export async function besideLease(at: LedgerOfFile, lease: string, provider: string, task: Task) {
  const { holders } = await at.ledger.lookHolders(task.holders)
  return {
    due: await at.scoreOf(`due:${provider}`, lease),
    deadSince: await at.scoreOf(`ending:${provider}`, lease),
    counted: await at.raw.hgetall(`${at.tag}n:${provider}`),
    held: holders.map((one) => one.activeLeases),
    inTask: (await at.ledger.findTask(task.id))?.activeLeases,
  }
}
