// `hallpass audit verify [DIR]`: 0 intact, 1 broken. Needs no server and no lock: the files, and the audit's public keys
// where they are at hand.
import type { VerifyCheckpoint } from '../audit/read-checkpoints.js'
import { type AuditVerification, verifyAuditDirectory } from '../audit/verify-chain.js'
import { exitCodes, UsageError } from '../cli/exit-codes.js'
import { withoutControls } from '../cli/output.js'
import { BrokerError } from '../core/errors.js'
import { readAcknowledged } from '../ledger/acknowledged.js'
import { connectFailFast, type RedisSettings, untilReady } from '../ledger/connection.js'
import { createCheckpointVerifier } from '../signing/checkpoint-tokens.js'
import { publicPart } from '../signing/file-keyset.js'
import { keyFilePath, readKeyFile } from '../signing/key-file.js'
import type { CommandOutput } from './command-output.js'
import { readJsonFile } from './json-file.js'

export interface AuditVerifyCommand {
  /** One chain's folder, or the one that holds them (`audit.directory` of the configuration). */
  directory: string
  /** `keys.directory` of the configuration: the audit's keys are read there when they are. */
  keysDirectory?: string
  /** A JWKS file with the audit's public keys, for whoever has no business with the private ones. Goes before the directory. */
  publicKeysFile?: string
  /** The ledger that the chains are held against, too: it knows of records behind the last checkpoint. */
  redis?: RedisSettings
}

/** Verifies and prints. Returns the exit code: 0 intact, 1 broken or unreadable, 6 where the ledger is asked and away. */
export async function verifyAudit(command: AuditVerifyCommand, output: CommandOutput): Promise<number> {
  try {
    const verifyCheckpoint = await findVerifier(command, output)
    // Before the files: whatever the ledger was told of was on disk by then.
    const acknowledged = command.redis === undefined ? undefined : await askLedger(command.redis)
    if (acknowledged === null) {
      output.note('hallpass: Redis cannot be reached at redis.url; without --against-ledger none is needed')
      return exitCodes.unavailable
    }
    const result = await verifyAuditDirectory(command.directory, {
      ...(verifyCheckpoint ? { verifyCheckpoint } : {}),
      ...(acknowledged ? { acknowledged } : {}),
    })
    output.print(result, describe(command.directory, result))
    return result.ok ? 0 : 1
  } catch (error) {
    // How it was called says nothing of the audit: 1 would read as broken.
    if (error instanceof UsageError) throw error
    output.note(`hallpass: the audit cannot be verified: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

/** Null: it is away. */
async function askLedger(settings: RedisSettings): Promise<Map<string, number> | null> {
  const redis = connectFailFast(settings, () => undefined)
  try {
    return (await untilReady(redis, 5000)) ? await readAcknowledged(redis, settings.prefix) : null
  } catch (error) {
    if (error instanceof BrokerError) return null
    throw error
  } finally {
    redis.disconnect()
  }
}

async function findVerifier(command: AuditVerifyCommand, output: CommandOutput): Promise<VerifyCheckpoint | null> {
  const { publicKeysFile, keysDirectory } = command
  if (publicKeysFile !== undefined) {
    const jwks = await readJsonFile(publicKeysFile, '--public-keys')
    const keys = typeof jwks === 'object' && jwks !== null && 'keys' in jwks ? jwks.keys : null
    if (!Array.isArray(keys))
      throw new UsageError(`--public-keys: ${publicKeysFile} is no JWKS: expected {"keys": [...]}`)
    return createCheckpointVerifier(keys)
  }
  if (keysDirectory === undefined) return null
  try {
    const { keys } = await readKeyFile(keyFilePath(keysDirectory, 'audit'))
    return createCheckpointVerifier(keys.map(publicPart))
  } catch (error) {
    // An auditor's machine has no private keys; the chain itself still tells. The result says that signatures were left out.
    output.note(
      `hallpass: checkpoints are not checked by signature: ${error instanceof Error ? error.message : String(error)}`,
    )
    return null
  }
}

function describe(directory: string, result: AuditVerification): string {
  const { ok, chains, segments, records, checkpoints, problems, notes } = result
  const counts = `${records} records in ${segments} files of ${chains} chains, ${checkpoints} checkpoints`
  return (
    [
      `${ok ? 'intact' : 'BROKEN'}: ${directory}: ${counts}`,
      ...problems.map(({ file, line, sequence, message }) => `${file}:${line}: record ${sequence}: ${message}`),
      ...notes.map((note) => `note: ${note}`),
    ]
      // Whoever altered the files chose these names, too: none of them may clear the screen and write `intact`.
      .map(withoutControls)
      .join('\n')
  )
}
