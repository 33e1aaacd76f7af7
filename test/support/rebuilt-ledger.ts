// A ledger that has nothing but what audit records tell: as after the loss of Redis.
import type { StoredRecord } from '../../src/audit/read-records.js'
import { AuditProjection } from '../../src/broker/audit-projection.js'
import { replay } from '../../src/broker/replay.js'
import { connectFailFast, type RedisSettings, untilReady } from '../../src/ledger/connection.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import { createRestoration } from '../../src/ledger/restoration.js'
import { openTestLedger, type TestLedger } from './ledger.js'
import { startTestRedis } from './redis.js'

type ReplaySettings = Partial<Parameters<typeof replay>[2]>

/** As an instance would that has these records and no others. */
export async function replayInto(
  redis: RedisSettings,
  ledger: Ledger,
  records: readonly object[],
  settings: ReplaySettings = {},
): Promise<void> {
  const projection = new AuditProjection()
  for (const record of records) projection.apply(record as StoredRecord)
  const connection = connectFailFast(redis, () => undefined)
  try {
    await untilReady(connection, 30_000)
    const restoration = createRestoration(connection, redis.prefix)
    await replay({ ledger, restoration }, projection, { memoryMs: 86_400_000, complete: true, ...settings })
  } finally {
    connection.disconnect()
  }
}

/** Looks at an empty ledger after one replay for each of `parts`, in their order. */
export async function inAnotherLedger(
  parts: readonly (readonly object[])[],
  look: (other: TestLedger) => Promise<void>,
  settings?: ReplaySettings,
): Promise<void> {
  const redis = await startTestRedis()
  const other = await openTestLedger(redis)
  try {
    for (const records of parts) await replayInto(redis, other.ledger, records, settings)
    await look(other)
  } finally {
    await other.close()
    await redis.stop()
  }
}
