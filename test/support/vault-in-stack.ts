// A Vault stand-in as a provider of a stack. It verifies Hallpass's federation token with the keys that `serve` publishes.
import { randomBytes } from 'node:crypto'
import { startVaultStandIn, type VaultStandIn } from '../../scripts/servers/stand-ins/vault.js'
import type { StackSettings } from './stack-settings.js'

export interface VaultInStack {
  readonly vault: VaultStandIn
  /** Our lease ids by the accessors that live at the Vault now, read there as its own operator would. */
  leasesByAccessor(): Promise<Map<string, string>>
  /** Adds the provider `vault` and three grants of it: database.query (secret), config.read (token), settings.read (kv). */
  withVault(base: StackSettings): StackSettings
}

/** `timeout`: the provider's. Tests that wait for it to run out have a shorter one. */
export async function startVaultForStack({ timeout = '8s' } = {}): Promise<VaultInStack> {
  const jwt = { issuer: '', jwksUrl: '', audience: 'vault.test' }
  const standingToken = randomBytes(16).toString('hex')
  const vault = await startVaultStandIn({
    jwt,
    standingToken,
    policies: {
      'hp-orders-reader': ['database/creds/orders-reader'],
      'hp-settings': ['secret/data/settings'],
      'read-orders': ['secret/data/settings'],
    },
    databaseRoles: { 'orders-reader': {} },
    kv: { 'secret/data/settings': { colour: 'a-long-standing-secret' } },
  })
  return {
    vault,
    leasesByAccessor: async () => {
      const found = new Map<string, string>()
      for (const accessor of vault.alive().accessors) {
        const lease = await leaseOfAccessor(vault.address, standingToken, accessor)
        if (lease !== null) found.set(accessor, lease)
      }
      return found
    },
    withVault(base) {
      // Where our keys are is known only once the stack has chosen its address.
      jwt.issuer = `${base.issuer}/federation`
      jwt.jwksUrl = `${base.issuer}/federation/.well-known/jwks.json`
      const provider = {
        type: 'vault',
        address: vault.address,
        auth: { method: 'jwt', role: 'hallpass', audience: 'vault.test' },
        token_role: 'hallpass-lease',
        timeout,
      }
      return { ...base, providers: { ...base.providers, vault: provider }, grants: { ...base.grants, ...vaultGrants } }
    },
  }
}

/** Null when it has ended meanwhile. */
async function leaseOfAccessor(address: string, token: string, accessor: string): Promise<string | null> {
  const response = await fetch(`${address}/v1/auth/token/lookup-accessor`, {
    method: 'POST',
    headers: { 'x-vault-token': token },
    body: JSON.stringify({ accessor }),
  })
  const { data } = (await response.json()) as { data?: { meta: Record<string, string> } }
  return data === undefined ? null : (Object.values(data.meta).find((value) => value.startsWith('lease_')) ?? '')
}

const grantOf = (resource: string, recipe: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  access: 'read',
  resource,
  provider: 'vault',
  ttl: { default: '5m', max: '30m' },
  recipe,
  ...more,
})

const vaultGrants: StackSettings['grants'] = {
  'database.query': grantOf('database', {
    kind: 'secret',
    path: 'database/creds/orders-reader',
    policies: ['hp-orders-reader'],
  }),
  'config.read': grantOf('database', { kind: 'token', policies: ['read-orders'] }),
  'settings.read': grantOf(
    'database',
    { kind: 'kv', path: 'secret/data/settings', policies: ['hp-settings'] },
    { standing: true },
  ),
}

export const vaultPolicy = `
@id("workloads-query")
permit (principal in Issuer::"ci", action in Action::"read", resource is Database);
`
