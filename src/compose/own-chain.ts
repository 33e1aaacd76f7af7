// The audit chain of a program. A command on a broker's host that only ends things does so without one, too: an incident waits
// neither for another such command nor for a disk that is full (I4).
import { type AuditLog, openAuditLog } from '../audit/audit-log.js'
import type { AuditLogOptions } from '../audit/audit-log-options.js'
import { ChainLockedError } from '../audit/chain-lock.js'
import type { Logger } from '../telemetry/logger.js'

/** `local`: a command on a broker's host. */
export type Program = 'serve' | 'worker' | 'dev' | 'local'

/** So many commands at once on one host have a chain each. */
const mostLocal = 9

/** Opens the chain; of several commands on one host at once each has its own: `local`, `local-2`, … Throws as `openAuditLog`. */
export async function openOwnChain(options: AuditLogOptions): Promise<AuditLog> {
  for (let n = 1; ; n++) {
    try {
      return await openAuditLog(n === 1 ? options : { ...options, program: `local-${n}` })
    } catch (error) {
      if (options.program !== 'local' || n === mostLocal || !(error instanceof ChainLockedError)) throw error
    }
  }
}

/** Waits for what a program has to have on disk before it goes on; a command on the host says that it could not, and goes on. */
export async function onDisk(program: Program, log: Logger, work: Promise<unknown>): Promise<void> {
  if (program !== 'local') await work
  else
    await work.catch((error: unknown) =>
      log.error({ err: error }, 'the disk takes nothing: what is done here is not on record'),
    )
}
