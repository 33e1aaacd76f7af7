import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { leaseToIssue } from '../../contracts/provider-under-test.js'
import { tokenRecipe } from '../../contracts/vault-under-test.js'
import { startVaultBench, type VaultBench } from './vault-under-stand-in.js'

let bench: VaultBench | undefined
const folders: string[] = []
afterEach(async () => {
  await bench?.stop()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

const issue = (vault: VaultBench) => vault.provider.issue(leaseToIssue(60), tokenRecipe, async () => {})
const logins = (vault: VaultBench) => vault.standIn.calls.filter(({ path }) => path.endsWith('/login'))

describe('login by JWT', () => {
  test('as hallpass, to the address exactly as written, for a minute, and shared by all calls', async () => {
    bench = await startVaultBench()
    const { standIn } = bench
    await Promise.all([issue(bench), issue(bench), issue(bench)])
    expect(logins(bench)).toHaveLength(1)
    const [login] = logins(bench)
    const { role, jwt } = (login?.body ?? {}) as { role: string; jwt: string }
    const claims = decodeJwt(jwt)
    expect(role).toBe('hallpass')
    expect(claims).toMatchObject({ sub: 'hallpass', aud: standIn.address })
    expect(Number(claims.exp) - Number(claims.iat)).toBe(60)
  })

  test('the audience is the configured one where there is one', async () => {
    const jwt = { issuer: '', jwksUrl: '', audience: 'urn:vault' }
    bench = await startVaultBench({ jwt }, { auth: { method: 'jwt', role: 'hallpass', audience: 'urn:vault' } })
    await issue(bench)
    expect(logins(bench)).toHaveLength(1)
  })

  test('a wrong audience is refused by the far side, and nothing is issued', async () => {
    bench = await startVaultBench({}, { auth: { method: 'jwt', role: 'hallpass', audience: 'urn:other' } })
    await expect(issue(bench)).rejects.toMatchObject({ name: 'ProviderError' })
    expect(bench.standIn.alive().accessors).toEqual([])
  })

  test('again before it ends', async () => {
    bench = await startVaultBench()
    await issue(bench)
    bench.advance(3_230_000)
    await issue(bench)
    expect(logins(bench)).toHaveLength(1)
    bench.advance(20_000)
    await issue(bench)
    expect(logins(bench)).toHaveLength(2)
  })

  test('again once for all who find it ended at the same time', async () => {
    bench = await startVaultBench()
    const vault = bench
    await issue(vault)
    vault.advance(3_250_000)
    await Promise.all(Array.from({ length: 8 }, () => issue(vault)))
    expect(logins(vault)).toHaveLength(2)
  })

  test.each([
    ['without end', 0],
    ['for a month', 30 * 86_400],
  ])('within the hour where it is good %s', async (_how, lease_duration) => {
    bench = await startVaultBench()
    bench.standIn.changeNext('auth/jwt/login', ({ status, body }) => ({
      status,
      body: { auth: { ...(body?.auth as object), lease_duration } },
    }))
    await issue(bench)
    bench.advance(600_000)
    await issue(bench)
    expect(logins(bench)).toHaveLength(1)
    bench.advance(3_000_000)
    await issue(bench)
    expect(logins(bench)).toHaveLength(2)
  })

  test('once more when Vault no longer knows it, and the call goes through', async () => {
    bench = await startVaultBench()
    await issue(bench)
    bench.advance(10_000)
    bench.standIn.failNext('auth/token/create', 403, ['permission denied'])
    await issue(bench)
    expect(logins(bench)).toHaveLength(2)
  })

  test('but not for a denial of a login that was just made', async () => {
    bench = await startVaultBench()
    bench.standIn.failNext('auth/token/create', 403, ['permission denied'])
    await expect(issue(bench)).rejects.toThrow('permission denied')
    expect(logins(bench)).toHaveLength(1)
  })

  test('a failed one is not remembered', async () => {
    bench = await startVaultBench()
    bench.standIn.failNext('auth/jwt/login', 500)
    await expect(issue(bench)).rejects.toThrow('login at auth/jwt/login')
    await issue(bench)
    expect(logins(bench)).toHaveLength(2)
  })
})

test('login by AppRole; wrong credentials are said without being shown', async () => {
  const appRole = { roleId: 'the-role', secretId: 'the-secret-id' }
  bench = await startVaultBench(
    { appRole },
    { auth: { method: 'approle', role_id: 'the-role', secret_id: 'the-secret-id' } },
  )
  await issue(bench)
  await bench.stop()
  bench = await startVaultBench(
    { appRole },
    { auth: { method: 'approle', role_id: 'the-role', secret_id: 'a-wrong-secret' } },
  )
  const error: unknown = await issue(bench).catch((thrown: unknown) => thrown)
  expect(String(error)).toContain('the AppRole credentials are not valid')
  expect(String(error)).not.toContain('a-wrong-secret')
})

describe('login by token file', () => {
  function tokenFile(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'hallpass-token-'))
    folders.push(folder)
    writeFileSync(join(folder, 'token'), text)
    return join(folder, 'token')
  }

  test('the file is read again, so an agent may replace the token', async () => {
    const token_file = tokenFile('hvs.old\n')
    bench = await startVaultBench({ standingToken: 'hvs.new' }, { auth: { method: 'token', token_file } })
    await expect(issue(bench)).rejects.toThrow('permission denied')
    writeFileSync(token_file, 'hvs.new\n')
    bench.advance(6_000)
    await issue(bench)
    expect(logins(bench)).toHaveLength(0)
  })

  test.each([
    ['an empty file', '\n'],
    ['two lines', 'hvs.a\nX-Vault-Namespace: b'],
  ])('%s is no token', async (_what, text) => {
    bench = await startVaultBench({}, { auth: { method: 'token', token_file: tokenFile(text) } })
    await expect(issue(bench)).rejects.toThrow('holds no single token')
  })

  test('a file that is not there is named', async () => {
    bench = await startVaultBench({}, { auth: { method: 'token', token_file: '/nowhere/token' } })
    await expect(issue(bench)).rejects.toThrow('cannot read /nowhere/token (ENOENT)')
  })
})

test('login by Kubernetes sends the service account token of now', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-token-'))
  folders.push(folder)
  writeFileSync(join(folder, 'token'), 'a.b.c\n')
  const auth = { method: 'kubernetes', role: 'hallpass', jwt_file: join(folder, 'token') }
  bench = await startVaultBench({}, { auth })
  bench.standIn.answerNext('auth/kubernetes/login', (response) => {
    response.writeHead(200).end(JSON.stringify({ auth: { client_token: 'hvs.x', lease_duration: 60 } }))
  })
  await expect(issue(bench)).rejects.toThrow('permission denied')
  expect(logins(bench)[0]).toMatchObject({ path: 'auth/kubernetes/login', body: { role: 'hallpass', jwt: 'a.b.c' } })
})
