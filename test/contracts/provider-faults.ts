// The second half of the provider contract: crashes, and a far side that is gone or silent.
import { expect, test } from '@jest/globals'
import type { Handle, NoteHandle } from '../../src/providers/provider.js'
import { ProviderError } from '../../src/providers/provider.js'
import {
  canEnd,
  comfortableTtl,
  endQuietly,
  eventually,
  everythingIn,
  expectNoSecret,
  expectProviderError,
  noNote,
  type ProviderUnderTest,
  rejection,
} from './provider-under-test.js'

export function describeCrash(under: () => ProviderUnderTest): void {
  test('what cannot be noted is not handed out, and nothing stays alive', async () => {
    const { provider, recipe, makeLease, aliveCount, settleSeconds = 20 } = under()
    let calls = 0
    const refused: NoteHandle = async () => {
      calls++
      throw new Error('the ledger does not answer')
    }
    const outcome = await provider.issue(makeLease(comfortableTtl), recipe, refused).catch((error: unknown) => error)
    // A provider whose mark is its handle has nothing to note; one that notes must stop when it cannot.
    if (calls > 0) expect(outcome).toBeInstanceOf(Error)
    else return
    if (aliveCount && canEnd(provider, recipe)) {
      await eventually(async () => (await aliveCount()) === 0, settleSeconds)
    }
  })

  test('a broker that dies after any note leaves a handle that ends what was made', async () => {
    const { provider, recipe, makeLease, aliveCount, settleSeconds = 20 } = under()
    if (!canEnd(provider, recipe)) return
    // Once per note that it makes: dead directly after the first, after the second, ...
    for (let nth = 0; ; nth++) {
      const noted: Handle[] = []
      const lease = makeLease(comfortableTtl)
      const issued = await provider.issue(lease, recipe, async (handle) => void noted.push(handle))
      const handle = noted[nth]
      if (handle === undefined) return endQuietly(provider, issued.handle, lease)
      await eventually(async () => {
        const outcome = await provider.revoke(handle, lease.deadline, { forced: true }).catch(expectProviderError)
        return outcome === 'revoked' || outcome === 'gone'
      }, settleSeconds + provider.timeoutSeconds)
      expect(await provider.probe(handle)).not.toBe('alive')
      if (aliveCount) await eventually(async () => (await aliveCount()) === 0, settleSeconds)
    }
  }, 60_000)

  test('the mark of a lease that was never minted finds no credential of somebody else', async () => {
    const { provider, recipe, makeLease } = under()
    const other = await provider.issue(makeLease(comfortableTtl), recipe, noNote)
    const found = await provider.findByMark(provider.plan(makeLease(comfortableTtl), recipe))
    expect(found).not.toEqual(other.handle)
    await endQuietly(provider, other.handle, makeLease(comfortableTtl))
  })
}

export function describeTrouble(under: () => ProviderUnderTest): void {
  test('an unreachable far side: unknown, unavailable, and no secret in any error', async () => {
    const { provider, recipe, makeLease, breakConnection } = under()
    if (!breakConnection) return
    const lease = makeLease(comfortableTtl)
    const issued = await provider.issue(lease, recipe, noNote)
    const restore = await breakConnection()
    try {
      expect(await provider.probe(issued.handle)).toBe('unknown')
      const errors = [
        await rejection(provider.issue(makeLease(comfortableTtl), recipe, noNote)),
        await rejection(provider.revoke(issued.handle, lease.deadline, { forced: true })),
      ]
      for (const error of errors) {
        expect(error).toBeInstanceOf(ProviderError)
        expect((error as ProviderError).kind).not.toBe('permanent')
        expectNoSecret(everythingIn(error), issued)
      }
      expect((await provider.diagnose()).length).toBeGreaterThan(0)
    } finally {
      await restore()
    }
    await endQuietly(provider, issued.handle, lease)
  }, 60_000)

  test('a far side that never answers costs its time-out and no more', async () => {
    const { provider, recipe, makeLease, hang } = under()
    if (!hang) return
    const restore = await hang()
    try {
      const started = performance.now()
      const error = await rejection(provider.issue(makeLease(comfortableTtl), recipe, noNote))
      expect(error).toBeInstanceOf(ProviderError)
      expect((error as ProviderError).kind).toBe('unavailable')
      expect(performance.now() - started).toBeLessThan(provider.timeoutSeconds * 1000 + 20_000)
    } finally {
      await restore()
    }
  }, 60_000)

  test('is well when all is well', async () => {
    expect(await under().provider.diagnose()).toEqual([])
  })
}
