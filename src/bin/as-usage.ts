// What cannot be read is how a command was called, where its exit code 1 says something of what was read.
import { UsageError } from '../cli/exit-codes.js'

/** A configuration or a policy folder that cannot be read → UsageError (exit code 2); anything else as it is. */
export async function asUsage(error: unknown): Promise<unknown> {
  const { ConfigError } = await import('../config/problems.js')
  const { PolicySetError } = await import('../policy/policy-set.js')
  const isUnreadable = error instanceof ConfigError || error instanceof PolicySetError
  return isUnreadable ? new UsageError(error.message) : error
}
