// What a provider is, in code. Every provider runs this suite, against its real server and its stand-in.
// It asserts what each revocation class may honestly claim, so that no class can look stronger than it is.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Handle } from '../../src/providers/provider.js'
import { describeCrash, describeTrouble } from './provider-faults.js'
import {
  canEnd,
  comfortableTtl,
  countingFrom,
  endQuietly,
  eventually,
  expectNoSecret,
  expectNotYet,
  expectProviderError,
  listedFor,
  noNote,
  type ProviderUnderTest,
} from './provider-under-test.js'

export { leaseToIssue, type ProviderUnderTest } from './provider-under-test.js'

/** Runs the whole suite. `skip` is the reason why the far side is not there: it is shown in the test's name. */
export function describeProviderContract(
  name: string,
  setup: () => Promise<ProviderUnderTest>,
  options: { skip?: string | undefined } = {},
): void {
  if (options.skip !== undefined) {
    describe.skip(`provider contract: ${name} (left out: ${options.skip})`, () => {
      test('needs its server', () => {})
    })
    return
  }
  describe(`provider contract: ${name}`, () => {
    let made: ProviderUnderTest | undefined
    const under = (): ProviderUnderTest => {
      if (!made) throw new Error('the set-up of the provider under test failed')
      return made
    }
    beforeAll(async () => {
      made = await countingFrom(await setup())
    }, 120_000)
    afterAll(async () => {
      await made?.provider.close()
      await made?.stop()
    }, 60_000)

    describeIssue(under)
    describeEnd(under)
    describeCrash(under)
    describeTrouble(under)
  })
}

function describeIssue(under: () => ProviderUnderTest): void {
  test('plans a mark without any network, and the same one every time', async () => {
    const { provider, recipe, makeLease, breakConnection } = under()
    const lease = makeLease(comfortableTtl)
    const before = provider.plan(lease, recipe)
    const restore = await breakConnection?.()
    try {
      expect(provider.plan(lease, recipe)).toEqual(before)
      expect(JSON.parse(JSON.stringify(before))).toEqual(before)
    } finally {
      await restore?.()
    }
  })

  test('states its guarantees', () => {
    const { provider, recipe } = under()
    const guarantees = provider.guarantees(recipe)
    expect(guarantees.minTtlSeconds).toBeGreaterThanOrEqual(1)
    expect(guarantees.propagationSeconds).toBeGreaterThanOrEqual(0)
    expect(provider.timeoutSeconds).toBeGreaterThan(0)
    expect(provider.concurrency).toBeGreaterThan(0)
  })

  test('issues a credential that works, notes its handle, and says when the provider itself ends it', async () => {
    const { provider, recipe, makeLease, use } = under()
    const noted: Handle[] = []
    const lease = makeLease(comfortableTtl)
    const issued = await provider.issue(lease, recipe, async (handle) => void noted.push(handle))
    const guarantees = provider.guarantees(recipe)
    if (use) expect(await use(issued.credential)).toBe(true)
    expect(typeof issued.credential.type).toBe('string')
    expect(JSON.parse(JSON.stringify(issued.handle))).toEqual(issued.handle)
    expect(issued.providerRef).not.toBe('')
    // A standing secret is shared by all who ever had it: its hash says nothing about whose it is.
    if (guarantees.revocation !== 'standing') expect(issued.fingerprintOf.length).toBeGreaterThan(0)
    if (guarantees.revocation !== 'standing' && guarantees.fixedTtlSeconds === undefined) {
      const latest = Math.max(lease.deadline, Date.now() + guarantees.minTtlSeconds * 1000) + floorSlackMs(guarantees)
      expect(issued.providerExpiresAt).toBeLessThanOrEqual(latest)
    }
    for (const handle of noted) expectNoSecret(JSON.stringify(handle), issued)
    await endQuietly(provider, issued.handle, lease)
  })

  test('refuses or survives a lifetime at its floor, and never mints below it', async () => {
    const { provider, recipe, makeLease, aliveCount, settleSeconds = 20 } = under()
    const { minTtlSeconds } = provider.guarantees(recipe)
    const atFloor = makeLease(minTtlSeconds)
    // A floor of whole seconds: what remains a moment later may be below it. Both answers are right, a longer life is not.
    const issued = await provider.issue(atFloor, recipe, noNote).catch(expectProviderError)
    if (issued) await endQuietly(provider, issued.handle, atFloor)
    // A far side may end what it was told to end a moment later: only where nothing is left can nothing vanish meanwhile.
    if (aliveCount) await eventually(async () => (await aliveCount()) === 0, settleSeconds + minTtlSeconds)
    const below = makeLease(0)
    await expect(provider.issue({ ...below, remainingMs: 0 }, recipe, noNote)).rejects.toThrow()
    if (aliveCount) expect(await aliveCount()).toBe(0)
  })
}

/** STS and its like are asked for more than the lease and cut by a condition instead: a class of its own is not `late`. */
function floorSlackMs(guarantees: { revocation: string }): number {
  return guarantees.revocation === 'immediate' ? 1_000 : 16 * 60_000
}

function describeEnd(under: () => ProviderUnderTest): void {
  test('alive, revoked, and then what its class may claim', async () => {
    const { provider, recipe, makeLease, use, settleSeconds = 20 } = under()
    const { revocation, propagationSeconds } = provider.guarantees(recipe)
    const lease = makeLease(comfortableTtl)
    const issued = await provider.issue(lease, recipe, noNote)
    expect(['alive', 'unknown']).toContain(await provider.probe(issued.handle))
    if (revocation === 'immediate') expect(await provider.probe(issued.handle)).toBe('alive')
    const outcome = await provider.revoke(issued.handle, lease.deadline, { forced: true }).catch(expectProviderError)
    if (revocation === 'immediate' || revocation === 'deny_policy') {
      expect(['revoked', 'gone']).toContain(outcome)
      await eventually(async () => (await provider.probe(issued.handle)) === 'dead', settleSeconds + propagationSeconds)
      if (use) expect(await use(issued.credential)).toBe(false)
    } else {
      // Nothing can end it: whoever still calls it dead before its natural end has lied in a receipt.
      expect(await provider.probe(issued.handle)).not.toBe('dead')
      if (use) expect(await use(issued.credential)).toBe(true)
    }
  })

  test('lists what it issued while that is alive, in a shape that it can end, and not after', async () => {
    const { provider, recipe, makeLease, settleSeconds = 20 } = under()
    if (provider.list === undefined || !canEnd(provider, recipe)) return
    const lease = makeLease(comfortableTtl)
    const issued = await provider.issue(lease, recipe, noNote)
    const [listed, ...more] = await listedFor(provider, lease)
    expect(more).toEqual([])
    if (!listed) throw new Error('it is alive and not listed')
    expect(listed.mark).toEqual(provider.plan(lease, recipe))
    expect(await provider.probe(listed.handle)).toBe('alive')
    // Whoever finds it knows less of it than its broker did, and may have to wait until its mint is over for certain.
    const isEnded = () =>
      provider.revoke(listed.handle, lease.deadline, { forced: true }).then(() => true, expectNotYet)
    await eventually(isEnded, settleSeconds + provider.timeoutSeconds + 10)
    await eventually(async () => (await listedFor(provider, lease)).length === 0, settleSeconds)
    await eventually(async () => (await provider.probe(issued.handle)) === 'dead', settleSeconds)
  }, 60_000)

  test('revoking twice is as good as once', async () => {
    const { provider, recipe, makeLease } = under()
    if (!canEnd(provider, recipe)) return
    const lease = makeLease(comfortableTtl)
    const { handle } = await provider.issue(lease, recipe, noNote)
    await provider.revoke(handle, lease.deadline, { forced: true })
    expect(['revoked', 'gone']).toContain(await provider.revoke(handle, lease.deadline, { forced: true }))
  })

  test('ends by itself at the deadline, without anybody doing anything', async () => {
    const { provider, recipe, makeLease, use, waitableTtlSeconds, settleSeconds = 20 } = under()
    const { revocation, minTtlSeconds } = provider.guarantees(recipe)
    // Long enough to be seen alive, also where the machine stands still for seconds meanwhile.
    const ttl = waitableTtlSeconds === undefined ? Math.max(minTtlSeconds + 1, 8) : waitableTtlSeconds
    if (ttl === null || revocation === 'standing') return
    const lease = makeLease(ttl)
    const issued = await provider.issue(lease, recipe, noNote)
    if (use) expect(await use(issued.credential)).toBe(true)
    const left = lease.deadline - Date.now()
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)))
    if (use) await eventually(async () => (await use(issued.credential)) === false, settleSeconds)
    await eventually(async () => (await provider.probe(issued.handle)) === 'dead', settleSeconds)
  }, 60_000)
}
