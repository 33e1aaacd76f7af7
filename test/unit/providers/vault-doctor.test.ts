import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { secretRecipe } from '../../contracts/vault-under-test.js'
import { startVaultBench, type VaultBench } from './vault-under-stand-in.js'

let bench: VaultBench
afterEach(() => bench.stop())

async function diagnose(trouble: (vault: VaultBench) => void, section = {}): Promise<string> {
  bench = await startVaultBench({}, section)
  bench.provider.validate(secretRecipe, { name: 'database.query', standing: false, maxTtlSeconds: 60 })
  trouble(bench)
  return (await bench.provider.diagnose()).join('\n')
}

test('nothing to say when all is well, and nothing stays behind', async () => {
  expect(await diagnose(() => {})).toBe('')
  expect(bench.standIn.alive()).toEqual({ leases: [], accessors: [] })
})

test.each([
  ['sealed', (vault: VaultBench) => sealed(vault), 'Vault is sealed'],
  ['no login', (v: VaultBench) => v.standIn.failNext('auth/jwt/login', 400, ['unknown role']), 'check `auth`'],
  [
    'no capability to look',
    (v: VaultBench) => v.standIn.failNext('auth/token/lookup-accessor', 403),
    'auth/token/lookup-accessor',
  ],
  [
    'no capability to end',
    (v: VaultBench) => v.standIn.failNext('auth/token/revoke-accessor', 403),
    'auth/token/revoke-accessor',
  ],
  [
    'no capability over the leases',
    (v: VaultBench) => v.standIn.failNext('sys/leases/lookup', 403),
    'database/creds/orders-reader/*',
  ],
  [
    'no capability to create',
    (v: VaultBench) => v.standIn.failNext('auth/token/create', 403),
    'no lease can be issued',
  ],
  [
    'no such token role',
    (v: VaultBench) => v.standIn.failNext('auth/token/create', 400, ['unknown role x']),
    'cannot be used (400)',
  ],
])('%s', async (_what, trouble, words) => {
  expect(await diagnose(trouble)).toContain(words)
})

test('a token file whose token Vault does not know', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-token-'))
  try {
    const token_file = join(folder, 'token')
    writeFileSync(token_file, 'of-somebody-else\n')
    bench = await startVaultBench({}, { auth: { method: 'token', token_file } })
    expect((await bench.provider.diagnose()).join()).toContain('does not know our token')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('each message says what to do', async () => {
  expect(await diagnose((vault) => vault.standIn.failNext('sys/leases/lookup', 403))).toContain(
    'hallpass provider setup vault',
  )
})

test('a token role that hands out anything, and what it handed out is ended', async () => {
  const tokenRole = { name: 'hallpass-lease', allowedPolicies: ['hallpass-doctor-must-be-refused'] }
  bench = await startVaultBench({ tokenRole })
  expect((await bench.provider.diagnose()).join()).toContain('hands out any policy')
  expect(bench.standIn.alive().accessors).toEqual([])
})

test('a namespace where there are none', async () => {
  expect(await diagnose(() => {}, { namespace: 'team' })).toContain('no namespaces')
})

test('nobody there', async () => {
  bench = await startVaultBench()
  await bench.standIn.stop()
  expect((await bench.provider.diagnose()).join()).toContain('check address')
})

function sealed(vault: VaultBench): void {
  vault.standIn.answerNext('sys/health', (response) => {
    response.writeHead(503).end(JSON.stringify({ initialized: true, sealed: true }))
  })
}
