// Commands on files: what they need of the configuration, and nothing more of it.
import { existsSync, statSync } from 'node:fs'
import { verifyAudit } from '../admin/audit-verify.js'
import { createKeys, rotateKeyPurposes } from '../admin/keys.js'
import { UsageError } from '../cli/exit-codes.js'
import type { Output } from '../cli/output.js'
import type { Environment } from '../client/index.js'
import { loadConfig } from '../config/load.js'
import { systemClock } from '../core/clock.js'
import { redisSettings } from '../ledger/redis-config.js'
import { keyPurposes } from '../signing/keyset.js'
import { asUsage } from './as-usage.js'

/** `config` is a path; `environment` is where its `env:` references are looked up. */
export interface OnHost {
  config: string
  environment: Environment
  output: Output
}

export async function runKeysCreate({ config, environment, output }: OnHost): Promise<number> {
  const { settings } = await loadConfig(config, environment)
  return createKeys({ directory: settings.keys.directory, clock: systemClock }, output)
}

/** Without a purpose: all of them. */
export async function runKeysRotate(
  purpose: string | undefined,
  { config, environment, output }: OnHost,
): Promise<number> {
  const known = keyPurposes.find((one) => one === purpose)
  if (purpose !== undefined && known === undefined) {
    throw new UsageError(`keys rotate: expected one of ${keyPurposes.join(', ')}, not "${purpose}"`)
  }
  const { settings } = await loadConfig(config, environment)
  return rotateKeyPurposes({ directory: settings.keys.directory, clock: systemClock }, output, known)
}

/** A directory that is named needs no configuration: the audit is also read where none is. */
export async function runAuditVerify(
  directory: string | undefined,
  { publicKeys: publicKeysFile, againstLedger = false }: { publicKeys?: string; againstLedger?: boolean },
  { config, environment, output }: OnHost,
): Promise<number> {
  // 1 would read as broken. That the configuration's own is gone is no slip of whoever typed, and stays 1.
  if (directory !== undefined && !isDirectory(directory))
    throw new UsageError(`audit verify: there is no folder ${directory}`)
  const keysFile = publicKeysFile === undefined ? {} : { publicKeysFile }
  if (!againstLedger && directory !== undefined && (publicKeysFile !== undefined || !existsSync(config))) {
    return verifyAudit({ directory, ...keysFile }, output)
  }
  // Nor is a configuration that does not load a chain that is broken.
  const { settings } = await loadConfig(config, environment).catch(async (error: unknown) => {
    throw await asUsage(error)
  })
  const keysDirectory = settings.keys.directory
  const redis = againstLedger ? { redis: redisSettings(settings.redis) } : {}
  return verifyAudit({ directory: directory ?? settings.audit.directory, keysDirectory, ...keysFile, ...redis }, output)
}

const isDirectory = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
