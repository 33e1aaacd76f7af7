import { afterEach, describe, expect, test } from '@jest/globals'
import { systemClock } from '../../../src/core/clock.js'
import type { Provider } from '../../../src/providers/provider.js'
import { createVaultProvider } from '../../../src/providers/vault.js'
import { leaseToIssue, listedFor } from '../../contracts/provider-under-test.js'
import { deployment, kvRecipe, secretRecipe, tokenRecipe, vaultSection } from '../../contracts/vault-under-test.js'
import { startVaultBench, type VaultBench } from './vault-under-stand-in.js'

let bench: VaultBench
const others: Provider[] = []
afterEach(async () => {
  for (const one of others.splice(0)) await one.close()
  await bench.stop()
})

const standingToken = 'token-of-the-operator'
const appRole = { roleId: 'the-role', secretId: 'the-secret-id' }
const start = (mayListAccessors: boolean) => startVaultBench({ mayListAccessors, standingToken, appRole })
const lookups = () => bench.standIn.calls.filter(({ path }) => path === 'auth/token/lookup-accessor').length
const lists = () => bench.standIn.calls.filter(({ path }) => path === 'auth/token/accessors').length

async function all(provider = bench.provider): Promise<string[]> {
  const found: string[] = []
  for await (const { mark } of provider.list?.() ?? []) found.push(String(mark.hallpass_lease))
  return found.sort()
}

async function issue(provider = bench.provider, recipe: typeof secretRecipe | typeof tokenRecipe = tokenRecipe) {
  const lease = leaseToIssue(120)
  await provider.issue(lease, recipe, async () => {})
  return lease
}

/** As somebody who may make tokens at this Vault does it, with whatever metadata. */
async function makeToken(meta: Record<string, string>): Promise<void> {
  const response = await fetch(`${bench.standIn.address}/v1/auth/token/create/hallpass-lease`, {
    method: 'POST',
    headers: { 'x-vault-token': standingToken },
    body: JSON.stringify({ policies: ['read-orders'], ttl: '120s', explicit_max_ttl: '120s', meta }),
  })
  if (!response.ok) throw new Error(`no token: ${response.status}`)
}

/** Another provider at the same Vault. */
function beside(name: string, issuer: string, section = {}): Provider {
  const auth = { method: 'approle', role_id: appRole.roleId, secret_id: appRole.secretId }
  const config = vaultSection(bench.standIn.address, { auth, ...section })
  const signFederationToken = async () => ''
  const made = createVaultProvider(name, config, { clock: systemClock, issuer, signFederationToken })
  others.push(made)
  return made
}

describe('with the right over the accessors', () => {
  test("every lease that stands on a token of ours, and nobody else's", async () => {
    bench = await start(true)
    const namesake = beside('vault', 'https://another.example')
    const sibling = beside('vault-two', deployment)
    const ours = [await issue(), await issue(bench.provider, secretRecipe)].map(({ id }) => id).sort()
    const theirs = await issue(namesake)
    const second = await issue(sibling)
    await makeToken({})
    await makeToken({ hallpass_lease: ours[0] ?? '' })
    await makeToken({ hallpass_lease: 'no-lease', hallpass_issuer: deployment, hallpass_provider: 'vault' })
    expect(await all()).toEqual(ours)
    expect(await all(namesake)).toEqual([theirs.id])
    expect(await all(sibling)).toEqual([second.id])
  })

  test('none that is ending, and of none that it was noted before it was made', async () => {
    bench = await start(true)
    const before = Date.now()
    await issue()
    const listed: number[] = []
    for await (const { handle } of bench.provider.list?.() ?? []) listed.push(Number(handle.noted_at))
    // Vault tells whole seconds: whoever waits for a mint to be over counts from the later end of that one.
    expect(listed.length).toBe(1)
    expect(listed[0]).toBeGreaterThanOrEqual(before)
    bench.standIn.changeNext('auth/token/lookup-accessor', ({ status, body }) => ({
      status,
      body: { data: { ...(body?.data as object), ttl: 0 } },
    }))
    // Of the two tokens there are, the login's was looked at before.
    expect(await all()).toEqual([])
  })

  test('a copy of a standing secret leaves nothing to list', async () => {
    bench = await start(true)
    await bench.provider.issue(leaseToIssue(120), kvRecipe, async () => {})
    expect(await all()).toEqual([])
  })

  test('a token of another role is not ours whatever it says', async () => {
    bench = await start(true)
    await issue()
    expect(await all(beside('vault', deployment, { token_role: 'another' }))).toEqual([])
  })

  test('a stranger is looked at once, ours every time', async () => {
    bench = await start(true)
    const lease = await issue()
    for (let i = 0; i < 10; i++) await makeToken({ someone: 'else' })
    await all()
    // Ten, ours and the login.
    expect(lookups()).toBe(12)
    expect(await all()).toEqual([lease.id])
    expect(lookups()).toBe(13)
  })

  test('one that cannot be looked at is left out, and the others are not', async () => {
    bench = await start(true)
    await issue()
    await issue()
    await all()
    bench.standIn.failNext('auth/token/lookup-accessor', 400, ['invalid accessor'])
    expect(await all()).toHaveLength(1)
    expect(await all()).toHaveLength(2)
  })

  test.each([403, 429, 503])('an answer %i ends the pass with an error', async (status) => {
    bench = await start(true)
    await issue()
    bench.standIn.failNext('auth/token/lookup-accessor', status, ['no'])
    await expect(all()).rejects.toMatchObject({ name: 'ProviderError' })
    expect(await all()).toHaveLength(1)
  })

  test('more than a pass looks at: the next goes on where it stopped', async () => {
    bench = await start(true)
    bench.letRun()
    const accessors = Array.from({ length: 7_000 }, (_, i) => `stranger-${String(i).padStart(5, '0')}`)
    bench.standIn.changeNext('auth/token/accessors', () => ({ status: 200, body: { data: { keys: accessors } } }))
    expect(await all()).toEqual([])
    const first = lookups()
    bench.standIn.changeNext('auth/token/accessors', () => ({ status: 200, body: { data: { keys: accessors } } }))
    await all()
    const asked = bench.standIn.calls
      .filter(({ path }) => path === 'auth/token/lookup-accessor')
      .map(({ body }) => (body as { accessor: string }).accessor)
    // A slow machine's pass ends by its time instead.
    expect(first).toBeLessThanOrEqual(5_000)
    expect(Math.min(...asked.slice(first, first + 4).map((name) => accessors.indexOf(name)))).toBe(first)
  }, 240_000)

  test('what it lists of a secret is revoked once its mint is over for certain, with the secret', async () => {
    bench = await start(true)
    const lease = await issue(bench.provider, secretRecipe)
    const [listed] = await listedFor(bench.provider, lease)
    const handle = listed?.handle ?? {}
    await expect(bench.provider.revoke(handle, 0, { forced: true })).rejects.toMatchObject({ kind: 'retryable' })
    bench.advance(20_000)
    expect(await bench.provider.probe(handle)).toBe('alive')
    expect(await bench.provider.revoke(handle, 0, { forced: true })).toBe('revoked')
    expect(bench.standIn.alive()).toEqual({ leases: [], accessors: [] })
  })

  test('doctor says that it looks', async () => {
    bench = await start(true)
    expect(await bench.provider.notes?.()).toEqual(['orphans are looked for'])
  })
})

describe('without it', () => {
  test('that is said once, asked again each hour, and used when it is given', async () => {
    bench = await start(false)
    const lease = await issue()
    await expect(all()).rejects.toMatchObject({ kind: 'permanent', message: expect.stringContaining('optional') })
    expect(await all()).toEqual([])
    expect(lists()).toBe(1)
    bench.advance(3_600_001)
    expect(await all()).toEqual([])
    const asked = lists()
    expect(asked).toBeGreaterThan(1)
    bench.advance(3_600_001)
    const keys = bench.standIn.alive().accessors
    bench.standIn.changeNext('auth/token/accessors', () => ({ status: 200, body: { data: { keys } } }))
    expect(await all()).toEqual([lease.id])
    // Taken away again, it is said again.
    await expect(all()).rejects.toMatchObject({ kind: 'permanent' })
    expect(await all()).toEqual([])
  })

  test('doctor notes it and finds nothing wrong', async () => {
    bench = await start(false)
    expect(await bench.provider.diagnose()).toEqual([])
    expect(await bench.provider.notes?.()).toEqual([expect.stringContaining('hallpass provider setup vault')])
  })
})
