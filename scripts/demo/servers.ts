// The servers around Hallpass: each the real one where it is found, else the stand-in of the same contract suite.
import { join } from 'node:path'
import { isLoopbackHost } from '../../src/core/settings.js'
import { findRedis } from '../../src/dev/redis.js'
import type { JsonObject } from '../../src/providers/provider.js'
import { vaultConfig } from '../../src/providers/vault-config.js'
import { findMoto, startMoto } from '../servers/moto.js'
import { findPostgres, startPostgres } from '../servers/postgres.js'
import { startStsStandIn } from '../servers/stand-ins/sts.js'
import { startVaultStandIn } from '../servers/stand-ins/vault.js'
import { findVault, setUpVault, startVault } from '../servers/vault.js'
import { setUpRoles } from './cloud.js'
import { type Database, realDatabase, standInDatabase } from './database.js'
import type { Undo } from './undo.js'

export interface Server {
  /** What it is and where it came from, for the reader. */
  readonly how: string
  readonly real: boolean
  /** How to have the real one, where it is a stand-in. */
  readonly add?: string
}

export interface VaultServer extends Server {
  readonly address: string
  readonly database: Database
  readonly databaseHow: string
  /** What `hallpass provider setup vault` prints. Hallpass must be serving: Vault fetches its keys. */
  setUp(): Promise<void>
}

export interface StsServer extends Server {
  readonly endpoint: string
  setUp(): Promise<void>
}

export interface Servers {
  readonly redis: Server & { readonly url: string }
  readonly vault: VaultServer
  readonly sts: StsServer
}

const settings = { greeting: 'set by an operator' }
const policies = {
  'read-orders': [
    'path "secret/data/settings" { capabilities = ["read"] }',
    'path "auth/token/lookup-self" { capabilities = ["read"] }',
  ].join('\n'),
}
/** The recipes of config/demo/hallpass.yaml with every placeholder filled. */
const recipes: readonly JsonObject[] = [
  { kind: 'secret', path: 'database/creds/orders-reader', policies: ['hp-orders-reader'] },
  { kind: 'secret', path: 'database/creds/orders-migrate-schema', policies: ['hp-orders-migrate'] },
  { kind: 'secret', path: 'database/creds/orders-migrate-data', policies: ['hp-orders-migrate'] },
  { kind: 'token', policies: ['read-orders'] },
]

/** Starts all of them; what was started is ended by `undo`. `federation` is Hallpass's identity towards Vault and AWS. */
export async function startServers(
  directory: string,
  federation: string,
  undo: Undo,
  say: (line: string) => void,
): Promise<Servers> {
  const redis = await findRedis(join(directory, 'redis'), process.env, say)
  undo.add(() => redis.stop())
  const starting = [startVaultServer(federation, undo), startStsServer(federation, undo)] as const
  // When one fails the other is still let come up: only what has started can be ended.
  await Promise.allSettled(starting)
  const [vault, sts] = await Promise.all(starting)
  return { redis: { url: redis.url, how: redis.how, real: true }, vault, sts }
}

async function startVaultServer(federation: string, undo: Undo): Promise<VaultServer> {
  const found = findVault()
  // Somebody's own Vault elsewhere is never set up by a demo, and could not reach us on loopback either.
  const usable = found !== null && (found.kind === 'program' || isLoopbackHost(new URL(found.address).hostname))
  if (!usable || findPostgres() === null) return await startStandIn(federation, usable, undo)
  const postgres = await startPostgres()
  undo.add(() => postgres.stop())
  const vault =
    found.kind === 'program'
      ? await startVault(found.path)
      : { address: found.address, rootToken: found.token, stop: async () => undefined }
  undo.add(() => vault.stop())
  const config = vaultConfig.parse({
    type: 'vault',
    address: vault.address,
    auth: { method: 'jwt', mount: 'jwt', role: 'hallpass' },
    token_role: 'hallpass-lease',
  })
  return {
    address: vault.address,
    real: true,
    how: found.kind === 'program' ? found.path : 'VAULT_ADDR',
    database: realDatabase(postgres),
    databaseHow: findPostgres() ?? '',
    setUp: () =>
      setUpVault(vault, {
        config,
        recipes,
        federationIssuer: federation,
        postgresUrl: postgres.url,
        kv: { 'secret/data/settings': settings },
        policies,
      }),
  }
}

async function startStandIn(federation: string, hasVault: boolean, undo: Undo): Promise<VaultServer> {
  const standIn = await startVaultStandIn({
    jwt: { issuer: federation, jwksUrl: `${federation}/.well-known/jwks.json` },
    policies: {
      'hp-orders-reader': ['database/creds/orders-reader'],
      'hp-orders-migrate': ['database/creds/orders-migrate-schema', 'database/creds/orders-migrate-data'],
      'read-orders': ['secret/data/settings'],
    },
    databaseRoles: { 'orders-reader': {}, 'orders-migrate-schema': {}, 'orders-migrate-data': {} },
    kv: { 'secret/data/settings': settings },
  })
  undo.add(() => standIn.stop())
  return {
    address: standIn.address,
    real: false,
    how: 'stand-in',
    add: hasVault
      ? 'PostgreSQL (Debian: apt-get install postgresql)'
      : 'Vault or OpenBao on PATH, or `node scripts/servers/build-vault.mjs` (needs Go), and PostgreSQL',
    database: standInDatabase(standIn),
    databaseHow: "none: Vault's stand-in says which users there are",
    setUp: async () => undefined,
  }
}

async function startStsServer(federation: string, undo: Undo): Promise<StsServer> {
  const found = findMoto()
  if (found?.kind === 'program' || (found?.kind === 'url' && isLoopbackHost(new URL(found.url).hostname))) {
    const moto =
      found.kind === 'program' ? await startMoto(found.path) : { url: found.url, stop: async () => undefined }
    undo.add(() => moto.stop())
    const how = found.kind === 'program' ? `moto, ${found.path}` : 'AWS_ENDPOINT_URL_STS'
    return { endpoint: moto.url, real: true, how, setUp: () => setUpRoles(moto.url) }
  }
  const standIn = await startStsStandIn()
  undo.add(() => standIn.stop())
  return {
    endpoint: standIn.url,
    real: false,
    how: 'stand-in',
    add: 'moto: `node scripts/servers/install-moto.mjs` (needs Python)',
    async setUp() {
      standIn.registerIdentityProvider(federation, `${federation}/.well-known/jwks.json`)
      await setUpRoles(standIn.url)
    },
  }
}
