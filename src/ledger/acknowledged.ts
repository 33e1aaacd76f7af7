// How far the audit's chains were when their programs spoke to the ledger last: what a cut at a chain's end shows by.
import type { Connection } from './connection.js'
import { ledgerTag } from './keys.js'
import { orUnavailable } from './unavailable.js'

/** Chain, by its folder's name → its highest record on disk that the ledger was told of. Throws `ledger_unavailable`. */
export async function readAcknowledged(redis: Connection, prefix: string): Promise<Map<string, number>> {
  const fields = await orUnavailable(redis.hgetall(`${ledgerTag(prefix)}wal`))
  const known = new Map<string, number>()
  // Beside each chain stand its turn (`/n`) and when it spoke last (`/t`).
  for (const [name, sequence] of Object.entries(fields)) if (!name.includes('/')) known.set(name, Number(sequence))
  return known
}
