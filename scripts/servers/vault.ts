// A real Vault or OpenBao for tests and the demo: the first that is there, and the set-up that Hallpass asks of its operator.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Client } from 'pg'
import type { JsonObject } from '../../src/providers/provider.js'
import type { VaultConfig } from '../../src/providers/vault-config.js'
import { revokePostgresRole, vaultSetupSteps } from '../../src/providers/vault-setup.js'
import { freePort } from './free-port.js'
import { stopByPid, waitUntil } from './processes.js'

export type FoundVault = { kind: 'url'; address: string; token: string } | { kind: 'program'; path: string }

export interface RunningVault {
  address: string
  rootToken: string
  pid: number
  stop(): Promise<void>
}

/** VAULT_ADDR with VAULT_TOKEN, else `vault` or `bao` on PATH, else the one that build-vault.mjs made, else null. */
export function findVault(): FoundVault | null {
  const { VAULT_ADDR, VAULT_TOKEN, PATH } = process.env
  if (VAULT_ADDR && VAULT_TOKEN) return { kind: 'url', address: VAULT_ADDR, token: VAULT_TOKEN }
  const folders = (PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const onPath = ['vault', 'bao'].flatMap((program) => folders.map((folder) => join(folder, program)))
  const built = join(homedir(), '.cache', 'hallpass', 'vault-1.21.0', 'vault')
  const path = [...onPath, built].find((candidate) => existsSync(candidate))
  return path === undefined ? null : { kind: 'program', path }
}

/** Starts it in development mode (memory, unsealed) on a free loopback port. */
export async function startVault(path: string): Promise<RunningVault> {
  const port = await freePort()
  const rootToken = randomBytes(16).toString('hex')
  const home = mkdtempSync(join(tmpdir(), 'hallpass-vault-'))
  const args = ['server', '-dev', `-dev-root-token-id=${rootToken}`, `-dev-listen-address=127.0.0.1:${port}`]
  // Its own home and no VAULT_* of ours: nothing of the user's is read or written.
  const env = { PATH: process.env.PATH, HOME: home }
  const child = spawn(path, [...args, '-dev-no-store-token', '-log-level=error'], { env, cwd: home, stdio: 'ignore' })
  const { pid } = child
  if (pid === undefined) throw new Error(`${path} could not be started`)
  const address = `http://127.0.0.1:${port}`
  const stop = async () => {
    await stopByPid(child)
    rmSync(home, { recursive: true, force: true })
  }
  try {
    await waitUntil('vault', async () => {
      if (child.exitCode !== null) throw new Error(`${path} ended at once with ${child.exitCode}`)
      return fetch(`${address}/v1/sys/health`).then(
        (response) => response.ok,
        () => false,
      )
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { address, rootToken, pid, stop }
}

/** A call with the operator's token; the answer's body. Throws with Vault's own words: test servers have no secrets. */
export async function operate(
  vault: { address: string; rootToken: string },
  method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'LIST',
  path: string,
  body?: JsonObject,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${vault.address}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': vault.rootToken, 'Content-Type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.trim()}`)
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
}

export interface VaultSetUp {
  /** The provider's section as Hallpass has it: token role, login method, audience. */
  config: VaultConfig
  /** Recipes with every placeholder filled. */
  recipes: readonly JsonObject[]
  /** `<issuer>/federation`; its JWKS must be reachable when `config.auth` is jwt. */
  federationIssuer: string
  /** Superuser URL: then the database engine is set up on it, with a table `orders` and the roles below. */
  postgresUrl?: string
  /** Vault database role → what its user may do. */
  databaseRoles?: Record<string, { grant: string; defaultTtl?: string; maxTtl?: string }>
  /** `secret/data/…` → value. */
  kv?: Record<string, JsonObject>
  /** Policy → HCL, for what `token` recipes name. */
  policies?: Record<string, string>
}

const defaultDatabaseRoles: NonNullable<VaultSetUp['databaseRoles']> = {
  'orders-reader': { grant: 'GRANT SELECT ON orders TO "{{name}}";' },
  'orders-migrate-schema': { grant: 'GRANT ALL ON orders TO "{{name}}";' },
  'orders-migrate-data': { grant: 'GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO "{{name}}";' },
}

/** Carries out what `hallpass provider setup` prints, and what it leaves to the operator. Safe to repeat. */
export async function setUpVault(vault: { address: string; rootToken: string }, wanted: VaultSetUp): Promise<void> {
  if (wanted.postgresUrl !== undefined) {
    await setUpDatabase(vault, wanted.postgresUrl, wanted.databaseRoles ?? defaultDatabaseRoles)
  }
  for (const [path, data] of Object.entries(wanted.kv ?? {})) await operate(vault, 'POST', path, { data })
  for (const [name, policy] of Object.entries(wanted.policies ?? {})) {
    await operate(vault, 'POST', `sys/policies/acl/${name}`, { policy })
  }
  for (const step of vaultSetupSteps(wanted.config, wanted.recipes, wanted.federationIssuer)) {
    await operate(vault, 'POST', step.path, step.body).catch((error: Error) => {
      if (!error.message.includes('path is already in use')) throw error
    })
  }
}

/** AppRole credentials for the role that the set-up made. */
export async function readAppRole(vault: { address: string; rootToken: string }, mount = 'approle') {
  const role = `auth/${mount}/role/hallpass`
  const id = (await operate(vault, 'GET', `${role}/role-id`)).data as { role_id: string }
  const secret = (await operate(vault, 'POST', `${role}/secret-id`)).data as { secret_id: string }
  return { roleId: id.role_id, secretId: secret.secret_id }
}

async function setUpDatabase(
  vault: { address: string; rootToken: string },
  url: string,
  roles: NonNullable<VaultSetUp['databaseRoles']>,
): Promise<void> {
  const password = randomBytes(16).toString('hex')
  await preparePostgres(url, password)
  await operate(vault, 'POST', 'sys/mounts/database', { type: 'database' }).catch((error: Error) => {
    if (!error.message.includes('path is already in use')) throw error
  })
  const { hostname, port, pathname } = new URL(url)
  await operate(vault, 'POST', 'database/config/orders', {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: Object.keys(roles),
    connection_url: `postgresql://{{username}}:{{password}}@${hostname}:${port}${pathname}?sslmode=disable`,
    username: 'hallpass_vault',
    password,
  })
  const create = `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`
  for (const [name, { grant, defaultTtl = '60s', maxTtl = '24h' }] of Object.entries(roles)) {
    await operate(vault, 'POST', `database/roles/${name}`, {
      db_name: 'orders',
      creation_statements: [create, 'GRANT "{{name}}" TO hallpass_vault;', grant],
      revocation_statements: [revokePostgresRole],
      default_ttl: defaultTtl,
      max_ttl: maxTtl,
    })
  }
}

/** Vault's own user there: no superuser, but it may make roles and end their sessions. And something worth reading. */
async function preparePostgres(url: string, password: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const existing = await client.query("SELECT 1 FROM pg_roles WHERE rolname = 'hallpass_vault'")
    if (existing.rowCount === 0) {
      await client.query('CREATE ROLE hallpass_vault LOGIN CREATEROLE')
      await client.query('GRANT pg_signal_backend TO hallpass_vault')
    }
    await client.query(`ALTER ROLE hallpass_vault PASSWORD '${password}'`)
    await client.query('CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text NOT NULL)')
    await client.query("INSERT INTO orders (item) SELECT 'a pass' WHERE NOT EXISTS (SELECT FROM orders)")
    await client.query('ALTER TABLE orders OWNER TO hallpass_vault')
  } finally {
    await client.end()
  }
}
