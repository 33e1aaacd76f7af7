// HashiCorp Vault and OpenBao as a provider. The sequence was verified on both; vault-issue.ts and vault-end.ts tell it in order.
import type { Clock } from '../core/clock.js'
import { minTtlSeconds as floors } from './floors.js'
import type { Guarantees, JsonObject, Provider } from './provider.js'
import { parseVaultRecipe, type VaultConfig, validateVaultRecipe } from './vault-config.js'
import { diagnoseVault, noteOnOrphans } from './vault-doctor.js'
import { probeAtVault, revokeAtVault } from './vault-end.js'
import { parseVaultHandle } from './vault-handle.js'
import { issueAtVault } from './vault-issue.js'
import { createVaultListing } from './vault-list.js'
import { type SignFederationToken, VaultLogin } from './vault-login.js'
import { markOf } from './vault-mark.js'
import type { VaultParts } from './vault-parts.js'
import { createVaultTransport } from './vault-transport.js'

export interface VaultDependencies {
  clock: Clock
  /** `issuer` of the configuration: tells this deployment's tokens from others' at the same Vault. */
  issuer: string
  /** Signs with the federation keys, as `<issuer>/federation`. Used by `auth: { method: jwt }`. */
  signFederationToken: SignFederationToken
}

const minTtlSeconds = floors.vault

/** Makes the provider; calls nobody. `name` is its key in the configuration. */
export function createVaultProvider(name: string, config: VaultConfig, dependencies: VaultDependencies): Provider {
  const { clock, issuer, signFederationToken } = dependencies
  // Twice: issuing and revoking each have `concurrency` of their own, and neither waits for the other's sockets.
  const transport = createVaultTransport({ address: config.address, ca: config.ca, sockets: config.concurrency * 2 })
  const login = new VaultLogin(config, transport, clock, signFederationToken)
  const owner = { issuer, provider: name }
  const vault: VaultParts = { config, clock, owner, transport, login, seenTtl: new Map(), unused: new Set() }
  const listing = createVaultListing(vault)
  const leasePaths = new Set<string>()
  return {
    name,
    kind: 'vault',
    timeoutSeconds: config.timeout,
    concurrency: config.concurrency,
    guarantees: guaranteesOf,
    validate: (recipe, grant) => {
      const { kind, path } = recipe
      // Only for `doctor`, which asks Vault about the paths that can be named before any lease.
      if (kind === 'secret' && typeof path === 'string' && !path.includes('${')) leasePaths.add(path)
      return validateVaultRecipe(recipe, grant)
    },
    plan: (lease, recipe) => {
      parseVaultRecipe(recipe)
      return markOf(lease.id)
    },
    issue: async (lease, recipe, noteHandle) => issueAtVault(vault, lease, parseVaultRecipe(recipe), noteHandle),
    revoke: async (handle) => revokeAtVault(vault, parseVaultHandle(handle)),
    probe: async (handle) => probeAtVault(vault, parseVaultHandle(handle)),
    // Without a noted accessor the token was never used; nobody has it, and it ends by itself with the lease.
    findByMark: async (_mark, known) => (known?.notesLost ? 'unknown' : 'nothing'),
    list: () => listing.list(),
    diagnose: () => diagnoseVault(name, vault, leasePaths),
    notes: () => noteOnOrphans(name, listing),
    close: async () => transport.close(),
  }
}

/** What a recipe's kind promises; its text need not be filled. */
function guaranteesOf(recipe: JsonObject): Guarantees {
  if (recipe.kind === 'kv') {
    return { revocation: 'standing', minTtlSeconds, propagationSeconds: 0, sessions: 'may_continue' }
  }
  // Whether a database ends open sessions is its role's revocation statements' choice, which nobody sees from here.
  const sessions = recipe.kind === 'token' ? 'ended' : 'may_continue'
  return { revocation: 'immediate', minTtlSeconds, propagationSeconds: 0, sessions }
}
