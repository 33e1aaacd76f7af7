// How far each audit chain is reflected in the ledger: what was once there cannot be gone from the files unseen.
import type { Connection } from './connection.js'
import { ledgerTag } from './keys.js'
import { orUnavailable } from './unavailable.js'

/** Chain (`<instance>-<program>`) → the highest sequence that the ledger was told of. Throws `ledger_unavailable`. */
export async function readReflected(redis: Connection, prefix: string): Promise<ReadonlyMap<string, number>> {
  const fields = await orUnavailable(redis.hgetall(`${ledgerTag(prefix)}wal`))
  // `<chain>/n` and `<chain>/t` are the turns; a chain's own name has no slash.
  return new Map(
    Object.entries(fields).flatMap(([chain, sequence]): [string, number][] =>
      chain.includes('/') ? [] : [[chain, Number(sequence)]],
    ),
  )
}
