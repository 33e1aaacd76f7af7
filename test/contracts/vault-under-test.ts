// The vault provider beside a real Vault with a real PostgreSQL, or beside the stand-in, with the line to it in our hand.
import { Client } from 'pg'
import { findPostgres, type RunningPostgres, startPostgres } from '../../scripts/servers/postgres.js'
import { startVaultStandIn, type VaultStandIn } from '../../scripts/servers/stand-ins/vault.js'
import { findVault, operate, setUpVault, startVault } from '../../scripts/servers/vault.js'
import { systemClock } from '../../src/core/clock.js'
import type { Credential, JsonObject } from '../../src/providers/provider.js'
import { createVaultProvider } from '../../src/providers/vault.js'
import { type VaultConfig, vaultConfig } from '../../src/providers/vault-config.js'
import { vaultSetupSteps } from '../../src/providers/vault-setup.js'
import { type FaultProxy, startFaultProxy } from './fault-proxy.js'
import { type Federation, startFederation } from './federation.js'
import { leaseToIssue, type ProviderUnderTest } from './provider-under-test.js'

export const secretRecipe = { kind: 'secret', path: 'database/creds/orders-reader', policies: ['hp-orders-reader'] }
export const tokenRecipe = { kind: 'token', policies: ['read-orders'] }
export const kvRecipe = { kind: 'kv', path: 'secret/data/settings', policies: ['hp-settings'] }
export const allRecipes = [secretRecipe, tokenRecipe, kvRecipe]

/** The issuer whose providers these are. */
export const deployment = 'https://hallpass.test.example'

const settings = { colour: 'a-long-standing-secret' }
const readOrders =
  'path "secret/data/settings" { capabilities = ["read"] }\npath "auth/token/lookup-self" { capabilities = ["read"] }'

export interface RealVault {
  address: string
  rootToken: string
  config: VaultConfig
  federation: Federation
  proxy: FaultProxy
  postgres: RunningPostgres
  stop(): Promise<void>
}

/** Why there is no real Vault or PostgreSQL here, or undefined. With HALLPASS_REQUIRE_REAL=1 the set-up fails instead. */
export function realVaultMissing(): string | undefined {
  if (process.env.HALLPASS_REQUIRE_REAL === '1') return undefined
  if (findVault() === null) return 'no Vault or OpenBao; node scripts/servers/build-vault.mjs builds one'
  if (findPostgres() === null) return 'no PostgreSQL; Debian: apt-get install postgresql'
  return undefined
}

/** A Vault in the state that `hallpass provider setup` leaves it in, with an orders database and one KV secret. */
export async function startRealVault(): Promise<RealVault> {
  const found = findVault()
  if (found === null) throw new Error('no Vault or OpenBao here, and HALLPASS_REQUIRE_REAL=1 asks for one')
  const federation = await startFederation()
  const postgres = await startPostgres()
  const running =
    found.kind === 'url'
      ? { address: found.address, rootToken: found.token, stop: async () => {} }
      : await startVault(found.path)
  const proxy = await startFaultProxy(Number(new URL(running.address).port))
  const config = vaultSection(`http://127.0.0.1:${proxy.port}`)
  await setUpVault(running, {
    config,
    recipes: allRecipes,
    federationIssuer: federation.issuer,
    postgresUrl: postgres.url,
    kv: { 'secret/data/settings': settings },
    policies: { 'read-orders': readOrders },
  })
  await allowToList(running, config, federation.issuer)
  const stop = async () => {
    await proxy.stop()
    await running.stop()
    await postgres.stop()
    await federation.stop()
  }
  return { address: running.address, rootToken: running.rootToken, config, federation, proxy, postgres, stop }
}

/** What an operator does who wants orphans found: takes the comment sign away before the rule. */
async function allowToList(
  vault: { address: string; rootToken: string },
  config: VaultConfig,
  federationIssuer: string,
): Promise<void> {
  const own = 'sys/policies/acl/hallpass'
  const step = vaultSetupSteps(config, allRecipes, federationIssuer).find(({ path }) => path === own)
  const policy = String(step?.body.policy).replace('# path "auth/token/accessors"', 'path "auth/token/accessors"')
  await operate(vault, 'POST', own, { policy })
}

export function vaultSection(address: string, changes: Record<string, unknown> = {}): VaultConfig {
  const auth = { method: 'jwt', mount: 'jwt', role: 'hallpass' }
  return vaultConfig.parse({ type: 'vault', address, auth, token_role: 'hallpass-lease', timeout: '8s', ...changes })
}

/** Whether PostgreSQL lets this user in and shows it the orders. */
export async function readsOrders(postgres: RunningPostgres, credential: Credential): Promise<boolean> {
  const { username, password } = credential.data as { username: string; password: string }
  const client = new Client({ host: '127.0.0.1', port: postgres.port, user: username, password, database: 'postgres' })
  client.on('error', () => {})
  try {
    await client.connect()
    return ((await client.query('SELECT item FROM orders')).rowCount ?? 0) > 0
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

export async function realVaultUnderTest(recipe: JsonObject): Promise<ProviderUnderTest> {
  const real = await startRealVault()
  const dependencies = { clock: systemClock, issuer: deployment, signFederationToken: real.federation.sign }
  const provider = createVaultProvider('vault', real.config, dependencies)
  const admin = new Client({ connectionString: real.postgres.url })
  await admin.connect()
  const countUsers = async () => {
    const found = await admin.query(`SELECT count(*)::int AS n FROM pg_roles WHERE rolname LIKE 'v-%'`)
    return Number(found.rows[0].n)
  }
  return {
    provider,
    recipe,
    makeLease: leaseToIssue,
    use: (credential) => useAtVault(real, credential),
    ...(recipe.kind === 'secret' ? { aliveCount: countUsers } : {}),
    ...(recipe.kind === 'token' ? { aliveCount: () => countLeaseTokens(real) } : {}),
    breakConnection: real.proxy.cut,
    hang: real.proxy.hang,
    stop: async () => {
      await admin.end()
      await real.stop()
    },
  }
}

function useAtVault(real: RealVault, credential: Credential): Promise<boolean> {
  if (credential.type === 'vault_token') return readsSettings(real.address, String(credential.token))
  const { data } = credential as { data?: { colour?: string } }
  if (data?.colour !== undefined) return Promise.resolve(data.colour === settings.colour)
  return readsOrders(real.postgres, credential)
}

async function readsSettings(address: string, token: string): Promise<boolean> {
  const response = await fetch(`${address}/v1/secret/data/settings`, { headers: { 'X-Vault-Token': token } })
  return response.ok && (await response.text()).includes(settings.colour)
}

async function countLeaseTokens(real: RealVault): Promise<number> {
  const { keys } = (await operate(real, 'LIST', 'auth/token/accessors')).data as { keys: string[] }
  const names = await Promise.all(
    keys.map((accessor) =>
      operate(real, 'POST', 'auth/token/lookup-accessor', { accessor }).then(
        ({ data }) => (data as { display_name: string }).display_name,
        () => '',
      ),
    ),
  )
  return names.filter((name) => name.startsWith('token-lease')).length
}

/** The stand-in in the same state. */
export async function startStandIn(
  federation: Federation,
  changes: Partial<Parameters<typeof startVaultStandIn>[0]> = {},
): Promise<VaultStandIn> {
  return startVaultStandIn({
    policies: {
      'hp-orders-reader': ['database/creds/orders-reader'],
      'hp-settings': ['secret/data/settings'],
      'read-orders': ['secret/data/settings', 'auth/token/lookup-self'],
    },
    databaseRoles: { 'orders-reader': {} },
    kv: { 'secret/data/settings': settings },
    ...changes,
    jwt: { ...changes.jwt, issuer: federation.issuer, jwksUrl: federation.jwksUrl },
  })
}

export async function standInUnderTest(recipe: JsonObject): Promise<ProviderUnderTest> {
  const federation = await startFederation()
  // The default audience is the address, and that one is the proxy's: not known before the stand-in is.
  const audience = 'vault.test'
  const standIn = await startStandIn(federation, { mayListAccessors: true, jwt: { issuer: '', jwksUrl: '', audience } })
  const proxy = await startFaultProxy(Number(new URL(standIn.address).port))
  const auth = { method: 'jwt', role: 'hallpass', audience }
  const config = vaultSection(`http://127.0.0.1:${proxy.port}`, { auth })
  const provider = createVaultProvider('vault', config, {
    clock: systemClock,
    issuer: deployment,
    signFederationToken: federation.sign,
  })
  const count = () => (recipe.kind === 'secret' ? standIn.alive().leases.length : standIn.alive().accessors.length)
  return {
    provider,
    recipe,
    makeLease: leaseToIssue,
    use: async (credential) => {
      if (credential.type === 'vault_token') return readsSettings(standIn.address, String(credential.token))
      const data = credential.data as { username?: string; password?: string; colour?: string }
      if (data.colour !== undefined) return data.colour === settings.colour
      return standIn.accepts(String(data.username), String(data.password))
    },
    ...(recipe.kind === 'kv' ? {} : { aliveCount: async () => count() }),
    breakConnection: proxy.cut,
    hang: proxy.hang,
    stop: async () => {
      await proxy.stop()
      await standIn.stop()
      await federation.stop()
    },
  }
}
