// What a command on the host does stands in the audit too: in a chain of its own beside the programs'.
import type { AuditLog } from '../audit/audit-log.js'
import { openOwnChain } from '../compose/own-chain.js'
import type { Settings } from '../config/schema.js'
import { systemClock } from '../core/clock.js'
import { createCheckpointSigner } from '../signing/checkpoint-tokens.js'
import { openFileKeyset } from '../signing/file-keyset.js'
import type { CommandOutput } from './command-output.js'

/** In an emergency the work counts more than its record: without a chain that can be written this says so and does nothing. */
export async function withLocalAudit(
  settings: Settings,
  output: CommandOutput,
  work: (audit: AuditLog) => Promise<unknown>,
): Promise<void> {
  try {
    const keyset = await openFileKeyset({ directory: settings.keys.directory })
    try {
      const signCheckpoint = createCheckpointSigner(keyset, settings.issuer)
      const { directory, instance } = settings.audit
      const audit = await openOwnChain({ directory, instance, program: 'local', clock: systemClock, signCheckpoint })
      await work(audit).finally(() => audit.close())
    } finally {
      keyset.close()
    }
  } catch (error) {
    output.note(`hallpass: not recorded: ${error instanceof Error ? error.message : String(error)}`)
  }
}
