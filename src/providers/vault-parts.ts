// What the stories of the vault provider share, and the time that one of them has.
import type { Clock } from '../core/clock.js'
import { ProviderError } from './provider.js'
import { parseClusterId } from './vault-answers.js'
import type { VaultConfig } from './vault-config.js'
import type { VaultLogin } from './vault-login.js'
import type { VaultOwner } from './vault-mark.js'
import type { VaultTransport } from './vault-transport.js'

export interface VaultParts {
  config: VaultConfig
  clock: Clock
  /** Whose name is on every lease's token. */
  owner: VaultOwner
  transport: VaultTransport
  login: VaultLogin
  /** Path → seconds that a secret there lives before it is cut, as last seen. */
  seenTtl: Map<string, number>
  /** Accessors of ours that were seen unused directly before they were revoked. */
  unused: Set<string>
}

export interface TimeBudget {
  /** Options of the next call: what is left of the time-out. Throws ProviderError `unavailable` when nothing is. */
  call(): { timeoutMs: number; namespace: string | undefined }
  leftMs(): number
  /** What is left of the time-out, for cleaning up: at least a little, since that is when it is needed. */
  graceMs(): number
  /** Whole seconds that are left of the lease, at least 1: Vault reads "0s" as the longest it has. Throws when there are none. */
  lifetimeSeconds(): number
}

const leastGraceMs = 750

/** Starts now. One time-out for a whole issue, never beyond the lease's end. */
export function startBudget(vault: VaultParts, remainingMs: number): TimeBudget {
  const startedAt = vault.clock.monotonic()
  const elapsed = () => vault.clock.monotonic() - startedAt
  const left = () => Math.min(vault.config.timeout * 1000, remainingMs) - elapsed()
  return {
    leftMs: left,
    graceMs: () => Math.max(left(), leastGraceMs),
    call: () => {
      const timeoutMs = left()
      if (timeoutMs <= 0) throw new ProviderError('unavailable', 'no time is left for the next call to Vault')
      return { timeoutMs, namespace: vault.config.namespace }
    },
    lifetimeSeconds: () => {
      const seconds = Math.floor((remainingMs - elapsed()) / 1000)
      if (seconds < 1) throw new ProviderError('unavailable', 'less than a second is left of the lease')
      return seconds
    },
  }
}

/** Which cluster answers at the address now; asks without a token. Throws ProviderError when none is in service. */
export async function readClusterId(vault: VaultParts, timeoutMs = vault.config.timeout * 1000): Promise<string> {
  // A standby answers as well: it passes calls on.
  const path = 'sys/health?standbyok=true&perfstandbyok=true'
  return parseClusterId(await vault.transport.send({ method: 'GET', path, timeoutMs, repeatable: true }))
}
