// `hallpass audit verify --against-ledger`: records that were cut off the end, newer than any checkpoint, show only by what the
// ledger was told of each chain.
import { resolve } from 'node:path'
import type { Settings } from '../config/schema.js'
import { connectFailFast, untilReady } from '../ledger/connection.js'
import { redisSettings } from '../ledger/redis-config.js'
import { readReflected } from '../ledger/reflected.js'
import { ledgerUnavailable } from '../ledger/unavailable.js'
import { type AuditVerifyCommand, verifyAudit } from './audit-verify.js'
import type { CommandOutput } from './command-output.js'

const programs = ['serve', 'worker', 'dev', 'local']

/** As `verifyAudit`; without a directory the configuration's, where this instance's own chains have to be. */
export async function verifyAgainstLedger(
  { audit, keys, redis: configured }: Pick<Settings, 'audit' | 'keys' | 'redis'>,
  { directory = audit.directory, ...rest }: Omit<AuditVerifyCommand, 'directory'> & { directory?: string | undefined },
  output: CommandOutput,
): Promise<number> {
  const connection = redisSettings(configured)
  const redis = connectFailFast(connection, () => undefined)
  const reflected = async () => {
    if (!(await untilReady(redis, 5000))) throw ledgerUnavailable()
    return await readReflected(redis, connection.prefix)
  }
  const isOurs = resolve(directory) === resolve(audit.directory)
  const own = isOurs ? programs.map((program) => `${audit.instance}-${program}`) : []
  const keysDirectory = rest.publicKeysFile === undefined ? { keysDirectory: keys.directory } : {}
  try {
    return await verifyAudit({ ...rest, ...keysDirectory, directory, ledger: { reflected, own } }, output)
  } finally {
    redis.disconnect()
  }
}
