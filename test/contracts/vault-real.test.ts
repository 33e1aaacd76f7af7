// What only a real Vault with a real PostgreSQL can show: that logins really die, and that the printed set-up is enough.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Client } from 'pg'
import { findVault, operate, readAppRole, setUpVault, startVault } from '../../scripts/servers/vault.js'
import { systemClock } from '../../src/core/clock.js'
import type { Credential, JsonObject, Provider } from '../../src/providers/provider.js'
import { createVaultProvider } from '../../src/providers/vault.js'
import type { VaultConfig } from '../../src/providers/vault-config.js'
import { setupText } from '../../src/providers/vault-setup.js'
import { quickestOf } from '../support/wall-time.js'
import { eventually, leaseToIssue, listedFor, rejection } from './provider-under-test.js'
import {
  allRecipes,
  deployment,
  kvRecipe,
  type RealVault,
  readsOrders,
  realVaultMissing,
  secretRecipe,
  startRealVault,
  tokenRecipe,
  vaultSection,
} from './vault-under-test.js'

/** Not `once`: PostgreSQL says why it ends a session, which arrives as an error first. */
function endOf(client: Client): Promise<void> {
  return new Promise((resolve) => client.once('end', resolve))
}

/** Not synchronously: Vault fetches our keys from this very process meanwhile. */
async function runScript(script: string, env: NodeJS.ProcessEnv, cwd: string): Promise<void> {
  const shell = spawn('sh', ['-e'], { env, cwd, stdio: ['pipe', 'ignore', 'pipe'] })
  let complaints = ''
  shell.stderr.on('data', (chunk) => {
    complaints += String(chunk)
  })
  shell.stdin.end(script)
  const [code] = await once(shell, 'close')
  if (code !== 0) throw new Error(`the printed commands ended with ${code}: ${complaints}`)
}

const missing = realVaultMissing()
const describeReal = missing === undefined ? describe : describe.skip

describeReal(`a real Vault${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let real: RealVault
  let provider: Provider
  const providers: Provider[] = []
  beforeAll(async () => {
    real = await startRealVault()
    provider = providerWith(real.config)
  }, 120_000)
  afterAll(async () => {
    for (const one of providers) await one.close()
    await real?.stop()
  }, 60_000)

  function providerWith(config: VaultConfig): Provider {
    const made = createVaultProvider('vault', config, {
      clock: systemClock,
      issuer: deployment,
      signFederationToken: (claims) => real.federation.sign(claims),
    })
    providers.push(made)
    return made
  }
  const issue = (recipe: JsonObject = secretRecipe, seconds = 60, from = provider) =>
    from.issue(leaseToIssue(seconds), recipe, async () => {})
  const end = (handle: JsonObject) => provider.revoke(handle, 0, { forced: false })

  async function session(credential: Credential): Promise<Client> {
    const { username, password } = credential.data as { username: string; password: string }
    const client = new Client({
      host: '127.0.0.1',
      port: real.postgres.port,
      user: username,
      password,
      database: 'postgres',
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  test('a database login works while the lease lives; afterwards it is gone and its open session ended', async () => {
    const { credential, handle } = await issue()
    const open = await session(credential)
    expect((await open.query('SELECT item FROM orders')).rows).toEqual([{ item: 'a pass' }])
    const ended = endOf(open)
    expect(await end(handle)).toBe('revoked')
    await ended
    expect(await readsOrders(real.postgres, credential)).toBe(false)
    expect(await provider.probe(handle)).toBe('dead')
  })

  test('left alone, the login and its open session end at the deadline', async () => {
    // A stall of the machine's makes one of them late, what is slow makes each.
    const lateness = async () => {
      const { credential, handle, providerExpiresAt } = await issue(secretRecipe, 8)
      const open = await session(credential)
      await endOf(open)
      const late = Date.now() - providerExpiresAt
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, providerExpiresAt + 500 - Date.now())))
      await eventually(async () => !(await readsOrders(real.postgres, credential)), 20)
      await eventually(async () => (await provider.probe(handle)) === 'dead', 20)
      return late
    }
    expect(await quickestOf(lateness, 1_500, 3)).toBeLessThan(1_500)
  })

  test('the lease token reads one secret and no second', async () => {
    const { handle } = await issue()
    const { data } = await operate(real, 'POST', 'auth/token/lookup-accessor', { accessor: String(handle.accessor) })
    expect(data).toMatchObject({ num_uses: 1, orphan: true, policies: ['hp-orders-reader'], renewable: false })
    await end(handle)
  })

  test('a lease longer than the token role allows is refused, and leaves nothing', async () => {
    await operate(real, 'POST', 'auth/token/roles/hallpass-lease', { token_explicit_max_ttl: '30s' })
    const error = await rejection(issue(secretRecipe, 60))
    await operate(real, 'POST', 'auth/token/roles/hallpass-lease', { token_explicit_max_ttl: '24h' })
    expect(String(error)).toMatch(/a life of 30 s instead of (60|[45]\d) s/)
  })

  test('a path that gives no lease is refused', async () => {
    await operate(real, 'POST', 'sys/mounts/pki', { type: 'pki' })
    await operate(real, 'POST', 'pki/root/generate/internal', { common_name: 'test', ttl: '1h' })
    const recipe = { kind: 'secret', path: 'pki/cert/ca', policies: ['hp-orders-reader'] }
    const policy = `path "pki/cert/ca" { capabilities = ["read"] }\npath "${secretRecipe.path}" { capabilities = ["read"] }`
    await operate(real, 'POST', 'sys/policies/acl/hp-orders-reader', { policy })
    expect(String(await rejection(issue(recipe)))).toContain('use kind kv')
  })

  test('a database that is down: refused; its revocation is an error until it is back, then done', async () => {
    const { handle, credential } = await issue()
    const admin = new Client({ connectionString: real.postgres.url })
    await admin.connect()
    try {
      await admin.query('ALTER ROLE hallpass_vault NOLOGIN')
      await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hallpass_vault'`)
      await expect(end(handle)).rejects.toMatchObject({ name: 'ProviderError', kind: 'retryable' })
      expect(await provider.probe(handle)).not.toBe('dead')
      expect(await readsOrders(real.postgres, credential)).toBe(true)
    } finally {
      await admin.query('ALTER ROLE hallpass_vault LOGIN')
      await admin.end()
    }
    expect(['revoked', 'gone']).toContain(await end(handle))
    expect(await provider.probe(handle)).toBe('dead')
    expect(await readsOrders(real.postgres, credential)).toBe(false)
  }, 60_000)

  test('with the rule that is printed as a comment it lists its own leases and nobody else’s', async () => {
    expect(await provider.notes?.()).toEqual(['orphans are looked for'])
    const lease = leaseToIssue(60)
    const { handle } = await provider.issue(lease, tokenRecipe, async () => {})
    const dependencies = { clock: systemClock, signFederationToken: real.federation.sign }
    const namesake = createVaultProvider('vault', real.config, { ...dependencies, issuer: 'https://another.example' })
    providers.push(namesake)
    expect(await listedFor(provider, lease)).toMatchObject([
      { mark: { hallpass_lease: lease.id }, handle: { accessor: handle.accessor } },
    ])
    expect(await listedFor(namesake, lease)).toEqual([])
    await end(handle)
    expect(await listedFor(provider, lease)).toEqual([])
  })

  test('a kv value is a copy: its receipt can claim nothing', async () => {
    const { credential, handle } = await issue(kvRecipe)
    expect(credential.data).toEqual({ colour: 'a-long-standing-secret' })
    await end(handle)
    expect(await provider.probe(handle)).toBe('unknown')
  })

  test('a token role without allowed_policies is found by the doctor', async () => {
    const role = { orphan: true, renewable: false, token_no_default_policy: true }
    await operate(real, 'POST', 'auth/token/roles/open', role)
    await operate(real, 'POST', 'auth/token/roles/glob', { ...role, allowed_policies_glob: ['*'] })
    for (const [name, words] of [
      ['open', 'has no allowed_policies'],
      ['glob', 'hands out any policy'],
    ]) {
      await operate(real, 'POST', `sys/policies/acl/hallpass-${name}`, {
        policy: ['create/' + name, 'lookup-accessor', 'revoke-accessor']
          .map((path) => `path "auth/token/${path}" { capabilities = ["update"] }`)
          .concat('path "auth/token/lookup-self" { capabilities = ["read"] }')
          .join('\n'),
      })
      const body = { policies: [`hallpass-${name}`], ttl: '60s', no_default_policy: true }
      const token = await operate(real, 'POST', 'auth/token/create-orphan', body)
      const file = privateFile((token.auth as { client_token: string }).client_token)
      const auth = { method: 'token', token_file: file }
      const section = vaultSection(real.config.address, { token_role: name, auth })
      expect(await providerWith(section).diagnose()).toEqual([expect.stringContaining(String(words))])
    }
  })

  test('the commands that `provider setup` prints are enough, for JWT and for AppRole', async () => {
    const found = findVault()
    if (found?.kind !== 'program') return
    const fresh = await startVault(found.path)
    const bin = mkdtempSync(join(tmpdir(), 'hallpass-bin-'))
    try {
      symlinkSync(found.path, join(bin, 'vault'))
      await setUpDatabaseOf(fresh)
      const jwt = vaultSection(fresh.address)
      const appRole = vaultSection(fresh.address, { auth: { method: 'approle', role_id: 'x', secret_id: 'x' } })
      for (const config of [jwt, appRole]) {
        const script = setupText('vault', config, allRecipes, real.federation.issuer)
        const env = {
          PATH: `${bin}:${process.env.PATH}`,
          HOME: bin,
          VAULT_ADDR: fresh.address,
          VAULT_TOKEN: fresh.rootToken,
        }
        await runScript(script, env, bin)
      }
      const { roleId, secretId } = await readAppRole(fresh)
      const filled = vaultSection(fresh.address, { auth: { method: 'approle', role_id: roleId, secret_id: secretId } })
      for (const config of [jwt, filled]) {
        const one = providerWith(config)
        one.validate(secretRecipe, { name: 'database.query', standing: false, maxTtlSeconds: 60 })
        expect(await one.diagnose()).toEqual([])
        // The right to look for orphans is printed as a comment.
        expect(await one.notes?.()).toEqual([expect.stringContaining('orphans are not looked for')])
        const { credential, handle } = await issue(secretRecipe, 60, one)
        expect(await readsOrders(real.postgres, credential)).toBe(true)
        expect(await one.revoke(handle, 0, { forced: false })).toBe('revoked')
        expect(await one.probe(handle)).toBe('dead')
      }
    } finally {
      await fresh.stop()
      rmSync(bin, { recursive: true, force: true })
    }
  }, 60_000)

  test('a token handed out can do what its policies say, and ends with its lease', async () => {
    const { credential, handle } = await issue(tokenRecipe)
    const look = () =>
      fetch(`${real.address}/v1/auth/token/lookup-self`, { headers: { 'X-Vault-Token': String(credential.token) } })
    expect((await look()).status).toBe(200)
    await end(handle)
    expect((await look()).status).toBe(403)
  })

  const files: string[] = []
  function privateFile(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'hallpass-token-'))
    files.push(folder)
    writeFileSync(join(folder, 'token'), text, { mode: 0o600 })
    return join(folder, 'token')
  }
  afterAll(() => {
    for (const folder of files) rmSync(folder, { recursive: true, force: true })
  })

  /** The part of a set-up that is the operator's own: the engine and its roles, without anything of Hallpass's. */
  async function setUpDatabaseOf(vault: { address: string; rootToken: string }): Promise<void> {
    const config = vaultSection(vault.address, { auth: { method: 'token', token_file: '/nowhere' } })
    const postgresUrl = real.postgres.url
    await setUpVault(vault, { config, recipes: [], federationIssuer: real.federation.issuer, postgresUrl })
  }
})
