// Vault gives something else than was asked for, or the time is up on the way: nothing goes out, and what there is is ended.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { toTimestamp } from '../../../src/core/clock.js'
import { type Handle, type Issued, ProviderError } from '../../../src/providers/provider.js'
import { leaseToIssue } from '../../contracts/provider-under-test.js'
import { kvRecipe, secretRecipe, tokenRecipe } from '../../contracts/vault-under-test.js'
import { until } from '../../support/wire-checks.js'
import { startVaultBench, type VaultBench } from './vault-under-stand-in.js'

let bench: VaultBench
beforeEach(async () => {
  bench = await startVaultBench()
})
afterEach(() => bench.stop())

const untouched = () => expect(bench.standIn.alive()).toEqual({ leases: [], accessors: [] })
const readsOf = (path: string) => bench.standIn.calls.filter((call) => call.path === path).length

function errorOf(outcome: PromiseSettledResult<unknown>): ProviderError {
  if (outcome.status === 'fulfilled') throw new Error('it was expected to be refused and was not')
  expect(outcome.reason).toBeInstanceOf(ProviderError)
  return outcome.reason as ProviderError
}

describe('a token', () => {
  test.each([
    ['with policies of an identity', { identity_policies: ['admin'] }, 'policies admin,hp-orders-reader'],
    ['without the policy', { policies: [] }, 'policies  instead of hp-orders-reader'],
    ['that can be used without end', { num_uses: 0 }, '0 uses instead of 2'],
    ['that can be used once only', { num_uses: 1 }, '1 uses instead of 2'],
    ['that lives longer', { lease_duration: 121 }, 'a life of 121 s instead of 120 s'],
    ['of the batch kind', { token_type: 'batch' }, 'token_type=service'],
    // Nobody could end it.
    ['without an accessor', { accessor: '' }, 'token_type=service'],
  ])('%s is refused, and nothing is read with it', async (_what, given, words) => {
    bench.standIn.changeNext('auth/token/create', ({ status, body }) => ({
      status,
      body: { auth: { ...(body?.auth as object), ...given } },
    }))
    const { outcome, noted } = await bench.issue(secretRecipe, leaseToIssue(120))
    expect(errorOf(outcome)).toMatchObject({ kind: 'permanent', message: expect.stringContaining(words) })
    expect(noted).toEqual([])
    expect(readsOf(secretRecipe.path)).toBe(0)
    if (!('accessor' in given)) untouched()
  })
})

describe('a secret', () => {
  test.each([
    ['a second longer than its lease', 1],
    ['not at all any more', -1000],
  ])('that lives %s after it was cut is refused', async (_what, more) => {
    bench.standIn.changeNext('sys/leases/renew', ({ status, body }) => ({
      status,
      body: { ...body, lease_duration: Math.max(0, Number(body?.lease_duration) + more) },
    }))
    const { outcome } = await bench.issue(secretRecipe, leaseToIssue(120))
    expect(errorOf(outcome)).toMatchObject({ kind: 'permanent', message: expect.stringContaining('was not cut') })
    untouched()
  })

  test('that cannot be ended at once is refused for the reason that there was', async () => {
    bench.standIn.changeNext('sys/leases/renew', () => ({
      status: 200,
      body: { lease_id: 'x', lease_duration: 7200 },
    }))
    bench.standIn.failNext('auth/token/revoke-accessor', 500, ['internal error'])
    const { outcome, noted } = await bench.issue(secretRecipe, leaseToIssue(120))
    expect(errorOf(outcome).message).toContain('was not cut')
    // Whoever cleans up later knows both.
    expect(noted.at(-1)).toMatchObject({ accessor: expect.any(String), lease_id: expect.any(String) })
    expect(await bench.provider.revoke(noted.at(-1) ?? {}, 0, { forced: false })).toBe('revoked')
    untouched()
  })

  test('for which no time is left is not read, and noted as never minted', async () => {
    const noted: Handle[] = []
    const slow = async (handle: Handle) => {
      if (noted.push(handle) === 1) bench.advance(11_000)
    }
    await expect(bench.provider.issue(leaseToIssue(120), secretRecipe, slow)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('no time is left to read'),
    })
    expect(readsOf(secretRecipe.path)).toBe(0)
    expect(noted.map((one) => one.nothing_minted)).toEqual([undefined, true])
    // What was begun in the little time for cleaning up goes on.
    await until(
      () => bench.standIn.alive().accessors,
      (left) => left.length === 0,
    )
  })

  test('that Vault refused is refused for that, also where that cannot be noted', async () => {
    bench.standIn.failNext(secretRecipe.path, 403, ['permission denied'])
    let notes = 0
    const failing = async () => {
      if (++notes === 2) throw new Error('the ledger is gone')
    }
    await expect(bench.provider.issue(leaseToIssue(60), secretRecipe, failing)).rejects.toThrow('permission denied')
    expect(notes).toBe(2)
    untouched()
  })
})

describe('a copy of a standing secret', () => {
  test('is none where the path gives one with a lease: that is ended', async () => {
    const { outcome } = await bench.issue({ ...secretRecipe, kind: 'kv' }, leaseToIssue(120))
    expect(errorOf(outcome)).toMatchObject({ kind: 'permanent', message: expect.stringContaining('use kind secret') })
    expect(readsOf(secretRecipe.path)).toBe(1)
    untouched()
  })

  test.each([
    ['deleted', { data: null, metadata: { destroyed: false } }],
    ['empty', null],
  ])('is none where the path is %s', async (_what, data) => {
    bench.standIn.changeNext(kvRecipe.path, ({ status, body }) => ({ status, body: { ...body, data } }))
    const { outcome } = await bench.issue(kvRecipe, leaseToIssue(120))
    expect(errorOf(outcome)).toMatchObject({ kind: 'permanent', message: expect.stringContaining('holds no secret') })
  })

  test('of the first version of the engine may have any names', async () => {
    const data = { data: 'a', colour: 'b' }
    bench.standIn.changeNext(kvRecipe.path, ({ status, body }) => ({ status, body: { ...body, data } }))
    const { outcome } = await bench.issue(kvRecipe, leaseToIssue(120))
    expect(outcome).toMatchObject({ status: 'fulfilled', value: { credential: { data } } })
  })
})

test.each([
  ['secret', secretRecipe],
  ['token', tokenRecipe],
])('a %s is never said to last longer than its lease', async (_kind, recipe) => {
  // As where the ledger's clock is ahead of ours.
  const lease = leaseToIssue(120)
  const deadline = lease.deadline - 60_000
  const { outcome } = await bench.issue(recipe, { ...lease, deadline })
  const { credential, providerExpiresAt } = (outcome as PromiseFulfilledResult<Issued>).value
  expect(credential.expires_at).toBe(toTimestamp(deadline))
  expect(providerExpiresAt).toBeGreaterThan(deadline)
})
