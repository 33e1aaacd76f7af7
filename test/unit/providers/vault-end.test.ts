import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Handle, Issued } from '../../../src/providers/provider.js'
import { leaseToIssue } from '../../contracts/provider-under-test.js'
import { kvRecipe, secretRecipe, tokenRecipe } from '../../contracts/vault-under-test.js'
import { startVaultBench, type VaultBench } from './vault-under-stand-in.js'

let bench: VaultBench
beforeEach(async () => {
  bench = await startVaultBench()
})
afterEach(() => bench.stop())

const revoke = (handle: Handle) => bench.provider.revoke(handle, 0, { forced: false })
const probe = (handle: Handle) => bench.provider.probe(handle)
const paths = () => bench.standIn.calls.map(({ path }) => path)

async function issue(recipe = secretRecipe as typeof secretRecipe | typeof tokenRecipe): Promise<Issued> {
  return bench.provider.issue(leaseToIssue(120), recipe, async () => {})
}

/** The handle of a broker that died, or whose answer was lost, while it read the secret. */
async function issueAndLose(): Promise<Handle> {
  bench.standIn.answerNext(secretRecipe.path, (response) => response.destroy())
  const { noted, outcome } = await bench.issue(secretRecipe, leaseToIssue(120))
  expect(outcome.status).toBe('rejected')
  expect(noted).toHaveLength(1)
  return noted[0] ?? {}
}

describe('revoking', () => {
  test('the token first, then the secret synchronously', async () => {
    const { handle } = await issue()
    const before = paths().length
    expect(await revoke(handle)).toBe('revoked')
    expect(paths().slice(before)).toEqual(['sys/health', 'auth/token/revoke-accessor', 'sys/leases/revoke'])
    expect(bench.standIn.calls.at(-1)?.body).toEqual({ lease_id: handle.lease_id, sync: true })
    expect(await probe(handle)).toBe('dead')
    expect(await revoke(handle)).toBe('gone')
  })

  test.each([
    [400, 'failed to revoke entry: database is down', 'retryable'],
    [500, 'internal error', 'retryable'],
    [403, 'permission denied', 'retryable'],
    [503, 'Vault is sealed', 'unavailable'],
    [404, 'unsupported path', 'permanent'],
    [404, 'no handler for route "sys/leases/revoke"', 'permanent'],
    [404, 'namespace not found', 'permanent'],
  ])('an answer %i "%s" is never taken for gone', async (status, text, kind) => {
    const { handle } = await issue()
    bench.standIn.failNext('sys/leases/revoke', status, [text])
    await expect(revoke(handle)).rejects.toMatchObject({ name: 'ProviderError', kind })
  })

  test.each([
    [403, 'permission denied', 'retryable'],
    [400, 'invalid accessor', 'retryable'],
    [404, 'namespace not found', 'permanent'],
    [503, 'Vault is sealed', 'unavailable'],
  ])('an answer %i "%s" to the first of the two ends nothing, not even a token alone', async (status, text, kind) => {
    for (const recipe of [secretRecipe, tokenRecipe]) {
      const { handle } = await issue(recipe)
      bench.standIn.failNext('auth/token/revoke-accessor', status, [text])
      await expect(revoke(handle)).rejects.toMatchObject({ name: 'ProviderError', kind })
      expect(await probe(handle)).toBe('alive')
    }
  })

  test('in the namespace of the mint, wherever the provider is now', async () => {
    const elsewhere = await startVaultBench({}, { namespace: 'teams/payments' })
    try {
      const minted = await elsewhere.provider.issue(leaseToIssue(120), secretRecipe, async () => {})
      const { handle } = minted
      expect(handle.namespace).toBe('teams/payments')
      await elsewhere.provider.revoke(handle, 0, { forced: false })
      await elsewhere.provider.probe(handle)
      const named = elsewhere.standIn.calls.filter(({ path }) => path !== 'sys/health')
      expect(new Set(named.map(({ namespace }) => namespace))).toEqual(new Set(['teams/payments']))
      expect(named.map(({ path }) => path)).toEqual(expect.arrayContaining(['sys/leases/revoke', 'sys/leases/lookup']))
    } finally {
      await elsewhere.stop()
    }
    // One that was minted before the provider was moved.
    const { handle } = await issue()
    const before = bench.standIn.calls.length
    await revoke({ ...handle, namespace: 'teams/before' })
    await probe({ ...handle, namespace: 'teams/before' })
    const ending = bench.standIn.calls.slice(before).filter(({ path }) => path !== 'sys/health')
    expect(ending.length).toBeGreaterThan(3)
    for (const { path, namespace } of ending) expect([path, namespace]).toEqual([path, 'teams/before'])
  })

  test('a token that ended by itself does not hide a secret that lives', async () => {
    const { handle } = await issue()
    bench.standIn.answerNext('auth/token/revoke-accessor', (response) => {
      response.writeHead(200).end(JSON.stringify({ data: null, warnings: ['No token found with this accessor'] }))
    })
    expect(await revoke(handle)).toBe('revoked')
    expect(bench.standIn.alive().leases).toEqual([])
  })

  test('another cluster at the same address can neither end nor confirm anything', async () => {
    const { handle } = await issue()
    const elsewhere = { ...handle, cluster_id: 'another' }
    await expect(revoke(elsewhere)).rejects.toMatchObject({ kind: 'retryable' })
    expect(await probe(elsewhere)).toBe('unknown')
    expect(bench.standIn.alive().leases).toHaveLength(1)
  })

  test('a handle that is none is a permanent error', async () => {
    await expect(revoke({ accessor: 'x' })).rejects.toMatchObject({ kind: 'permanent' })
  })
})

describe('a secret whose lease nobody noted', () => {
  test('is not touched while it may still be on its way', async () => {
    const handle = await issueAndLose()
    await expect(revoke(handle)).rejects.toMatchObject({ kind: 'retryable' })
    expect(paths()).not.toContain('auth/token/revoke-accessor')
    expect(await probe(handle)).toBe('unknown')
  })

  test('was never read: its token shows both uses, and is dead when revoked', async () => {
    const handle = await issueAndLose()
    bench.advance(12_100)
    expect(await revoke(handle)).toBe('revoked')
    expect(await probe(handle)).toBe('dead')
  })

  test('was read, and the answer lost: unknown until it must have run out', async () => {
    // So that the life of such a secret is known: 60 s.
    await issue()
    const answerLost = await lostAfterReading()
    bench.advance(12_100)
    expect(await revoke(answerLost)).toBe('revoked')
    expect(await probe(answerLost)).toBe('unknown')
    bench.advance(90_000)
    expect(await probe(answerLost)).toBe('unknown')
    bench.advance(60_000)
    expect(await probe(answerLost)).toBe('dead')
  })

  test('and whose life was never seen stays unknown', async () => {
    const handle = await lostAfterReading()
    bench.advance(12_100)
    await revoke(handle)
    bench.advance(24 * 3600_000)
    expect(await probe(handle)).toBe('unknown')
  })

  /** A gateway's answer instead of Vault's, which carried the read out. */
  async function lostAfterReading(): Promise<Handle> {
    bench.standIn.changeNext(secretRecipe.path, () => ({ status: 504, body: null }))
    const { noted } = await bench.issue(secretRecipe, leaseToIssue(120))
    expect(noted).toHaveLength(1)
    return noted[0] ?? {}
  }
})

describe('probing', () => {
  test('alive, for a secret and for a token', async () => {
    expect(await probe((await issue()).handle)).toBe('alive')
    expect(await probe((await issue(tokenRecipe)).handle)).toBe('alive')
  })

  test.each([
    ['sys/leases/lookup', 500, 'x'],
    ['sys/leases/lookup', 404, 'unsupported path'],
    ['auth/token/lookup-accessor', 403, 'permission denied'],
    ['auth/token/lookup-accessor', 404, 'no handler for route'],
    ['sys/health', 503, 'Vault is sealed'],
  ])('%s answered %i: unknown, never dead by guess', async (path, status, text) => {
    const { handle } = await issue()
    await revoke(handle)
    bench.standIn.failNext(path, status, [text])
    expect(await probe(handle)).toBe('unknown')
  })

  test('a secret whose revocation is under way is not dead yet', async () => {
    const { handle } = await issue()
    bench.standIn.changeNext('sys/leases/lookup', () => ({ status: 200, body: { data: { ttl: 0 } } }))
    expect(await probe(handle)).toBe('unknown')
  })

  test('a secret without its lease is not dead while its token lives, nor a token that ends just now', async () => {
    const secret = await issue()
    bench.standIn.failNext('sys/leases/lookup', 400, ['invalid lease'])
    expect(await probe(secret.handle)).toBe('unknown')
    const token = await issue(tokenRecipe)
    bench.standIn.changeNext('auth/token/lookup-accessor', ({ status }) => ({
      status,
      body: { data: { ttl: 0, num_uses: 0 } },
    }))
    expect(await probe(token.handle)).toBe('unknown')
  })

  test('a copy of a standing secret is never dead', async () => {
    const { handle } = await bench.provider.issue(leaseToIssue(60), kvRecipe, async () => {})
    await revoke(handle)
    expect(await probe(handle)).toBe('unknown')
  })
})
