import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { StandInAnswer } from '../../../scripts/servers/stand-ins/vault-calls.js'
import { type Issued, ProviderError } from '../../../src/providers/provider.js'
import { leaseToIssue } from '../../contracts/provider-under-test.js'
import { deployment, kvRecipe, secretRecipe, tokenRecipe } from '../../contracts/vault-under-test.js'
import { startVaultBench, type VaultBench } from './vault-under-stand-in.js'

let bench: VaultBench
beforeEach(async () => {
  bench = await startVaultBench()
})
afterEach(() => bench.stop())

const paths = () => bench.standIn.calls.map(({ path }) => path)
const noNote = async () => {}
/** The answer as it is, and by then so much later. */
const passing = (ms: number) => (answer: StandInAnswer) => {
  bench.advance(ms)
  return answer
}

function issuedOf(outcome: PromiseSettledResult<unknown>): Issued {
  if (outcome.status === 'rejected') throw outcome.reason
  return outcome.value as Issued
}

function errorOf(outcome: PromiseSettledResult<unknown>): ProviderError {
  if (outcome.status === 'fulfilled') throw new Error('it was expected to be refused and was not')
  expect(outcome.reason).toBeInstanceOf(ProviderError)
  return outcome.reason as ProviderError
}

describe('what Vault sees of one secret', () => {
  test('of a task below another: the chain, the caller first', async () => {
    const chain = ['ci:agent', 'ci:boss'].map((principal) => ({ principal, task: 'task_x' }))
    await bench.issue(secretRecipe, { ...leaseToIssue(120), chain })
    const create = bench.standIn.calls.find(({ path }) => path.startsWith('auth/token/create/'))
    expect(create?.body).toMatchObject({ meta: { hallpass_chain: 'ci:agent ci:boss' } })
  })

  test('login, an exact token, one read with it, and the secret cut to the lease', async () => {
    const lease = leaseToIssue(120)
    bench.standIn.changeNext('sys/health', passing(1_700))
    bench.standIn.changeNext(secretRecipe.path, passing(1_000))
    const { outcome, noted } = await bench.issue(secretRecipe, lease)
    const { credential, handle, providerRef } = issuedOf(outcome)
    const asked = [
      'sys/health',
      'auth/jwt/login',
      'auth/token/create/hallpass-lease',
      secretRecipe.path,
      'sys/leases/renew',
    ]
    expect(paths()).toEqual(asked)
    const [, , create, read, renew] = bench.standIn.calls
    // Whole seconds of what is left by then.
    expect(create?.body).toEqual({
      policies: ['hp-orders-reader'],
      ttl: '118s',
      explicit_max_ttl: '118s',
      display_name: lease.id,
      meta: {
        hallpass_lease: lease.id,
        hallpass_issuer: deployment,
        hallpass_provider: 'vault',
        hallpass_task: lease.taskId,
        hallpass_principal: lease.principal,
        hallpass_action: lease.action,
        hallpass_resource: lease.resource,
      },
      num_uses: 2,
    })
    expect(renew?.body).toMatchObject({ increment: 117 })
    expect(read?.token).not.toBe(create?.token)
    const { username, password } = credential.data as { username: string; password: string }
    expect(credential).toMatchObject({ type: 'vault_secret', expires_at: expect.stringMatching(/Z$/) })
    expect(bench.standIn.accepts(username, password)).toBe(true)
    expect(providerRef).toBe(handle.accessor)
    expect(issuedOf(outcome).fingerprintOf).toEqual([username])
    // First the accessor alone, then the secret's lease as well.
    expect(noted.map((one) => 'lease_id' in one)).toEqual([false, true])
    expect(noted[1]).toEqual(handle)
  })

  test('the accessor is noted before anything is read with the token', async () => {
    const readYet: boolean[] = []
    const note = async () => void readYet.push(paths().includes(secretRecipe.path))
    await bench.provider.issue(leaseToIssue(60), secretRecipe, note)
    expect(readYet).toEqual([false, true])
  })

  test('a token has no limit of uses and is never used here', async () => {
    const { outcome } = await bench.issue(tokenRecipe, leaseToIssue(60))
    expect(bench.standIn.calls.find(({ path }) => path.includes('create'))?.body).not.toHaveProperty('num_uses')
    expect(issuedOf(outcome).credential).toMatchObject({ type: 'vault_token', address: bench.standIn.address })
  })

  test('a kv value comes without its metadata, and its token ends with the read', async () => {
    const { outcome } = await bench.issue(kvRecipe, leaseToIssue(60))
    expect(issuedOf(outcome).credential.data).toEqual({ colour: 'a-long-standing-secret' })
    expect(bench.standIn.alive().accessors).toEqual([])
  })
})

describe('what Vault gives otherwise than asked is refused, and ended', () => {
  const untouched = () => expect(bench.standIn.alive()).toEqual({ leases: [], accessors: [] })

  test.each([
    ['a shorter life', { maxTtlSeconds: 30 }, /a life of 30 s instead of 120 s/],
    ['a renewable token', { renewable: true }, /renewable/],
    ['a child of our login', { orphan: false }, /orphan=true/],
  ])('%s', async (_what, role, words) => {
    await bench.stop()
    const tokenRole = { name: 'hallpass-lease', allowedPolicies: ['hp-orders-reader'], ...role }
    bench = await startVaultBench({ tokenRole })
    const { outcome, noted } = await bench.issue(secretRecipe, leaseToIssue(120))
    expect(errorOf(outcome)).toMatchObject({ kind: 'permanent', message: expect.stringMatching(words) })
    expect(noted).toEqual([])
    untouched()
  })

  test('more policies than asked for', async () => {
    bench.standIn.changeNext('auth/token/create', ({ status, body }) => {
      const auth = { ...(body?.auth as object), policies: ['default', 'hp-orders-reader'] }
      return { status, body: { auth } }
    })
    const { outcome } = await bench.issue(secretRecipe, leaseToIssue(120))
    expect(errorOf(outcome).message).toContain('policies default,hp-orders-reader instead of hp-orders-reader')
    untouched()
  })

  test('a secret that cannot be renewed and outlives the lease', async () => {
    await bench.stop()
    bench = await startVaultBench({ databaseRoles: { 'orders-reader': { defaultTtl: 3600, renewable: false } } })
    const { outcome } = await bench.issue(secretRecipe, leaseToIssue(120))
    expect(errorOf(outcome).message).toContain('cannot be renewed')
    untouched()
  })

  test('a secret that cannot be renewed and ends in time is taken, with its own end', async () => {
    await bench.stop()
    bench = await startVaultBench({ databaseRoles: { 'orders-reader': { defaultTtl: 30, renewable: false } } })
    const lease = leaseToIssue(600)
    const { outcome } = await bench.issue(secretRecipe, lease)
    expect(issuedOf(outcome).providerExpiresAt).toBeLessThan(lease.deadline - 300_000)
  })

  test('a renewal that did not shorten the secret', async () => {
    bench.standIn.changeNext('sys/leases/renew', ({ status, body }) => ({
      status,
      body: { ...body, lease_duration: 7200 },
    }))
    expect(errorOf((await bench.issue(secretRecipe, leaseToIssue(120))).outcome).message).toContain('was not cut')
    untouched()
  })

  test('a path that gives no lease', async () => {
    const { outcome } = await bench.issue({ ...kvRecipe, kind: 'secret' }, leaseToIssue(120))
    expect(errorOf(outcome)).toMatchObject({ kind: 'permanent', message: expect.stringContaining('use kind kv') })
    untouched()
  })

  test('a second note that fails', async () => {
    let notes = 0
    const note = async () => {
      if (++notes === 2) throw new Error('the ledger is gone')
    }
    await expect(bench.provider.issue(leaseToIssue(60), secretRecipe, note)).rejects.toThrow('the ledger is gone')
    untouched()
  })
})

describe('refusals', () => {
  test('a read that Vault refuses is noted as nothing minted, so nobody waits for it', async () => {
    bench.standIn.failNext(secretRecipe.path, 403, ['1 error occurred:\n\t* permission denied\n\n'])
    const { outcome, noted } = await bench.issue(secretRecipe, leaseToIssue(60))
    expect(errorOf(outcome).message).toContain('permission denied')
    expect(noted[1]).toMatchObject({ nothing_minted: true })
    expect(await bench.provider.revoke(noted[1] ?? {}, 0, { forced: false })).toBe('gone')
    expect(await bench.provider.probe(noted[1] ?? {})).toBe('dead')
  })

  test('the message repeats nothing of what Vault said beyond known phrases', async () => {
    bench.standIn.failNext('auth/token/create', 400, ['something about hvs.CAESIsecret'])
    const error = errorOf((await bench.issue(secretRecipe, leaseToIssue(60))).outcome)
    expect(error.message).toBe('auth/token/create/hallpass-lease: Vault answered 400')
  })

  test('nothing is asked of Vault by plan, and a bad recipe stops there', () => {
    expect(bench.provider.plan(leaseToIssue(60), secretRecipe)).toHaveProperty('hallpass_lease')
    expect(() => bench.provider.plan(leaseToIssue(60), { ...secretRecipe, path: '../x' })).toThrow('unfillable_recipe')
    expect(paths()).toEqual([])
  })

  test('a lease with less than a second left is not asked for', async () => {
    const lease = { ...leaseToIssue(60), remainingMs: 900 }
    expect((await bench.provider.issue(lease, secretRecipe, noNote).catch((e: unknown) => e)) as Error).toBeInstanceOf(
      ProviderError,
    )
    expect(paths().filter((path) => path.includes('create'))).toEqual([])
  })

  test('a mark without a noted handle: nothing that anybody could hold', async () => {
    expect(await bench.provider.findByMark({ hallpass_lease: 'lease_x' })).toBe('nothing')
    // Nothing noted proves nothing where the notes are lost.
    expect(await bench.provider.findByMark({ hallpass_lease: 'lease_x' }, { notesLost: true })).toBe('unknown')
  })
})
