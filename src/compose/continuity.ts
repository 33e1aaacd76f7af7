// Wires the watch over the ledger: what this chain wrote for, what Redis still knows of it, and the beat that asks each second.
import { basename, dirname, join } from 'node:path'
import type { AuditLog } from '../audit/audit-log.js'
import { readLedgerNote, readNotesBeside, writeLedgerNote } from '../audit/ledger-note.js'
import { listChains, readRecords } from '../audit/read-records.js'
import { type ContinuityParts, keepContinuity } from '../broker/keep-continuity.js'
import type { ChainBeside } from '../broker/replay-beside.js'
import { systemClock } from '../core/clock.js'
import type { Connection } from '../ledger/connection.js'
import { type Continuity, findIncarnation, openContinuity } from '../ledger/continuity.js'
import { examineRedis } from '../ledger/fitness.js'
import type { Ledger } from '../ledger/ledger.js'
import { createRestoration } from '../ledger/restoration.js'
import type { Logger } from '../telemetry/logger.js'
import { startBeating } from '../worker/beat.js'
import type { Program } from './own-chain.js'

/**
 * Throws when Redis is one that would lose leases; says loudly what else is wrong with it. `refuses: false` for what only ends
 * leases: in an incident that is wanted from any Redis.
 */
export async function checkRedis(
  redis: Connection,
  prefix: string,
  log: Logger,
  { refuses }: { refuses: boolean },
): Promise<void> {
  const { refusals, warnings } = await examineRedis(redis, systemClock.now, prefix)
  if (refuses && refusals.length > 0) throw new Error(`the Redis at redis.url cannot be used: ${refusals.join('; ')}`)
  for (const warning of [...refusals, ...warnings]) log.error({ redis: warning }, `Redis: ${warning}`)
}

/** Resolves when the chain's folder notes which ledger it is written for; `onDisk` waits for that. */
export async function watchLedger(
  redis: Connection,
  prefix: string,
  audit: AuditLog,
  onDisk: (note: Promise<void>) => Promise<void>,
): Promise<Continuity> {
  const noted = await readLedgerNote(audit.directory)
  const known = noted ?? (await knownBeside(redis, prefix, audit.directory))
  const sequence = () => audit.sequence
  const { monotonic } = systemClock
  const continuity = await openContinuity({ redis, prefix, instance: audit.instance, known, sequence, monotonic })
  if (noted === null) await onDisk(writeLedgerNote(audit.directory, continuity.incarnation))
  return continuity
}

/** A program's first start on a host where others wrote to a ledger does not begin a new one in a Redis that lost theirs. */
async function knownBeside(redis: Connection, prefix: string, folder: string): Promise<string | null> {
  const notes = await readNotesBeside(folder)
  const there = await findIncarnation(redis, prefix)
  return there !== null && notes.includes(there) ? there : (notes[0] ?? null)
}

interface BeatParts {
  readonly redis: Connection
  readonly prefix: string
  readonly continuity: Continuity
  readonly ledger: Ledger
  readonly audit: AuditLog
  readonly log: Logger
  readonly memoryMs: number
  readonly program: Program
}

/** Of the commands that ran on this host: `<instance>-local`, `<instance>-local-2`, … beside the program's own chain. */
async function localChains(own: string): Promise<ChainBeside[]> {
  const instance = basename(own).replace(/-[^-]+$/, '-local')
  const names = [...(await listChains(dirname(own))).keys()]
  return names
    .filter((name) => name === instance || (/^-[0-9]$/.test(name.slice(instance.length)) && name.startsWith(instance)))
    .map((name) => ({ name, records: (after) => readRecords(join(dirname(own), name), after) }))
}

/** The first beat, waited for, and all that follow. `stop` lets the others know that nobody needs to wait for this one. */
export async function startContinuity(given: BeatParts): Promise<{ stop(): Promise<void> }> {
  const { redis, prefix, continuity, audit, log } = given
  const parts: ContinuityParts = {
    ...given,
    restoration: createRestoration(redis, prefix),
    ownRecords: (after) => readRecords(audit.directory, after),
    chainsBeside: () => (given.program === 'local' ? Promise.resolve([]) : localChains(audit.directory)),
    noteIncarnation: (incarnation) => writeLedgerNote(audit.directory, incarnation),
  }
  await keepContinuity(parts).catch((error: unknown) => log.warn({ err: error }, 'the ledger could not be asked yet'))
  const beating = startBeating(() => keepContinuity(parts), log)
  continuity.onDoubt(beating.soon)
  return {
    async stop() {
      await beating.stop()
      await continuity.leave()
    },
  }
}
