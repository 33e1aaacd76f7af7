// The vault provider beside the stand-in, without anything in between, for tests that look at what Vault saw.
import type { VaultStandIn } from '../../../scripts/servers/stand-ins/vault.js'
import { type Clock, systemClock } from '../../../src/core/clock.js'
import type { Handle, JsonObject, LeaseToIssue, Provider } from '../../../src/providers/provider.js'
import { createVaultProvider } from '../../../src/providers/vault.js'
import { startFederation } from '../../contracts/federation.js'
import { deployment, startStandIn, vaultSection } from '../../contracts/vault-under-test.js'

export interface VaultBench {
  standIn: VaultStandIn
  provider: Provider
  /** Moves the provider's clocks, not the stand-in's. Nothing else moves the monotonic one. */
  advance(ms: number): void
  /** From now on the monotonic clock runs. For what a pass may take at most. */
  letRun(): void
  /** Issues, keeping every handle that was noted. */
  issue(recipe: JsonObject, lease: LeaseToIssue): Promise<{ noted: Handle[]; outcome: PromiseSettledResult<unknown> }>
  stop(): Promise<void>
}

/** `changes` are the stand-in's, `section` the provider's. Its time-out is one that a busy machine keeps. */
export async function startVaultBench(
  changes: Parameters<typeof startStandIn>[1] = {},
  section: Record<string, unknown> = {},
): Promise<VaultBench> {
  const federation = await startFederation()
  const standIn = await startStandIn(federation, changes)
  let shift = 0
  let runs = false
  // Held still: how young a login is (a refusal of one older than 2 s is asked again with a new one) and what is left of a lease
  // are what the test says, however long this process is kept from running in between.
  const clock: Clock = {
    now: () => systemClock.now() + shift,
    monotonic: () => shift + (runs ? systemClock.monotonic() : 0),
  }
  const config = vaultSection(standIn.address, { timeout: '10s', ...section })
  const provider = createVaultProvider('vault', config, {
    clock,
    issuer: deployment,
    signFederationToken: federation.sign,
  })
  return {
    standIn,
    provider,
    advance: (ms) => {
      shift += ms
    },
    letRun: () => {
      runs = true
    },
    issue: async (recipe, lease) => {
      const noted: Handle[] = []
      const issuing = provider.issue(lease, recipe, async (handle) => void noted.push(handle))
      const [outcome] = await Promise.allSettled([issuing])
      return { noted, outcome }
    },
    stop: async () => {
      await provider.close()
      await standIn.stop()
      await federation.stop()
    },
  }
}
