// What commands on this host put on record (`--local`, `recover --revoke-now`), and Redis may lack: each of them ended long ago, so
// that nobody but the programs beside it can write its orders again. An order to end what is out must not be lost with a second.
import type { StoredRecord } from '../audit/read-records.js'
import type { AuditSink } from '../audit/record.js'
import type { Continuity } from '../ledger/continuity.js'
import type { Logger } from '../telemetry/logger.js'
import { AuditProjection } from './audit-projection.js'
import { foundAll, type ReplayParts, replay } from './replay.js'

export interface ChainBeside {
  readonly name: string
  /** Its records above a sequence, from disk. */
  readonly records: (after: number) => AsyncIterable<StoredRecord>
}

export interface BesideParts extends ReplayParts {
  readonly continuity: Pick<Continuity, 'incarnation'>
  readonly audit: AuditSink
  readonly log: Logger
  readonly memoryMs: number
  /** Those of commands on this host, which end with their order; none for such a command itself. */
  readonly chainsBeside: () => Promise<readonly ChainBeside[]>
}

/** An order is on record before the ledger has it, and its sequence may be told in between. */
const overlap = 50

/**
 * For a program that doubts whether Redis has all it was told, before it trusts it again. Throws `ledger_unavailable`; a chain
 * that cannot be read is said and passed over: whose user may read it is no reason to issue nothing.
 */
export async function replayBeside(parts: BesideParts): Promise<void> {
  const { restoration, continuity, log } = parts
  const chains = await parts.chainsBeside().catch((error: unknown) => {
    log.error({ err: error }, 'the chains of commands on this host cannot be read')
    return []
  })
  if (chains.length === 0 || (await restoration.incarnation()) !== continuity.incarnation) return
  for (const chain of chains) await replayChain(parts, chain)
}

async function replayChain(parts: BesideParts, { name, records }: ChainBeside): Promise<void> {
  const reflected = await parts.restoration.reflected(name)
  const projection = new AuditProjection()
  let last = 0
  try {
    for await (const record of records(Math.max(0, reflected - overlap))) {
      last = record.seq
      // Up to there a lock was in the ledger, and may have been removed since.
      if (record.event !== 'lock.set' || record.seq > reflected) projection.apply(record)
    }
  } catch (error) {
    parts.log.error({ err: error, chain: name }, 'the chain of a command on this host cannot be read')
    return
  }
  if (projection.records === 0) return
  const done = await replay(parts, projection, { memoryMs: parts.memoryMs, complete: false })
  if (last > reflected) await parts.restoration.noteReflected(name, last)
  if (foundAll(done)) return
  const seen = { chain: name, reflected, records: projection.records, ...done }
  parts.log.warn(seen, 'what the ledger lacked of the orders given on this host was written again')
  await parts.audit.append({ event: 'ledger.replayed', ledger: parts.continuity.incarnation, ...seen })
}
