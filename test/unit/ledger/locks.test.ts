// Locks in the ledger: what they stop and from when, that they count, and that they end.
import { beforeEach, describe, expect, test } from '@jest/globals'
import { systemClock } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import type { SetLock } from '../../../src/ledger/ledger.js'
import type { LockTarget } from '../../../src/ledger/lock.js'
import { lockTargets } from '../../../src/ledger/lock-names.js'
import { activeLease, anActivation, aRecord, aReservation, openTask, reserve } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()
beforeEach(async () => {
  for (const lock of await at.ledger.listLocks(0, 100)) await at.ledger.removeLock(lock.id)
  await at.ledger.takeDue([], 1)
})

function aLock(target: LockTarget, over: Partial<SetLock> = {}): SetLock {
  const [reason, actor] = ['stolen', 'staff:olga']
  const order = { id: createId('rev', systemClock.now()), match: {}, reason, actor }
  return { id: createId('lock', systemClock.now()), target, reason, actor, order, ...over }
}

async function setLock(target: LockTarget, over: Partial<SetLock> = {}): Promise<string> {
  const lock = aLock(target, over)
  expect((await at.ledger.setLock(lock)).outcome).toBe('ok')
  return lock.id
}

describe('a lock', () => {
  test.each(['lease', 'task', 'principal', 'account', 'issuer', 'action', 'resource', 'provider', 'all'])(
    'on %s stops the reservation, the activation and the use of what it names, and nothing once removed',
    async (kind) => {
      const task = await openTask(at.ledger)
      const next = await aReservation(at.ledger, task)
      const half = await reserve(at.ledger, task)
      const live = await activeLease(at.ledger, task)
      const namedBy = (lease: string) =>
        lockTargets({ id: lease, record: aRecord(task) })
          .find((name) => name.startsWith(`${kind}=`))
          ?.slice(kind.length + 1)
      const targetOf = (lease: string) => ({ [kind]: kind === 'all' ? true : namedBy(lease) }) as LockTarget
      const ids = [await setLock(targetOf(next.lease))]
      if (kind === 'lease') ids.push(await setLock(targetOf(half)), await setLock(targetOf(live)))
      const fresh = await at.ledger.lookHolders(task.holders)
      const again = { ...next, versions: fresh.holders.map((holder) => holder.version) }
      expect(await at.ledger.reserve(again)).toEqual({ outcome: 'locked', target: `${kind}=${namedBy(next.lease)}` })
      const names = lockTargets({ id: half, record: aRecord(task) })
      expect(await at.ledger.activate(half, anActivation, names)).toEqual({ outcome: 'locked' })
      expect(await at.ledger.isLive(live)).toBe(false)
      for (const id of ids) await at.ledger.removeLock(id)
      expect((await at.ledger.reserve(again)).outcome).toBe('ok')
      expect(await at.ledger.isLive(live)).toBe(true)
    },
  )

  test('does not reach what it does not name', async () => {
    const task = await openTask(at.ledger)
    await setLock({ account: 'ci:somebody-else' })
    await setLock({ resource: 'repo:acme/other' })
    const lease = await reserve(at.ledger, task)
    const names = lockTargets({ id: lease, record: aRecord(task) })
    expect((await at.ledger.activate(lease, anActivation, names)).outcome).toBe('ok')
    expect(await at.ledger.isLive(lease)).toBe(true)
  })

  test('two on one target survive one removal, and each says why', async () => {
    const task = await openTask(at.ledger)
    const [first, second] = [await setLock({ account: task.account }), await setLock({ account: task.account })]
    const reservation = await aReservation(at.ledger, task)
    expect((await at.ledger.findLockOn([`account=${task.account}`]))?.id).toBe(first)
    expect((await at.ledger.removeLock(first))?.target).toEqual({ account: task.account })
    expect(await at.ledger.removeLock(first)).toBeNull()
    expect((await at.ledger.reserve(reservation)).outcome).toBe('locked')
    expect((await at.ledger.findLockOn(['issuer=x', `account=${task.account}`]))?.id).toBe(second)
    await at.ledger.removeLock(second)
    expect((await at.ledger.reserve(reservation)).outcome).toBe('ok')
    expect(await at.ledger.findLockOn([`account=${task.account}`])).toBeNull()
    expect(await at.raw.exists(`${at.tag}locked`, `${at.tag}locks`, `${at.tag}lockers`, `${at.tag}due:locks`)).toBe(0)
  })

  test('comes with the order that revokes, in the same step, and the order counts from there on', async () => {
    const lock = aLock({ account: 'ci:x' })
    await at.ledger.setLock({ ...lock, order: { ...lock.order, match: { account: 'ci:x' }, keepsTask: true } })
    const { id } = lock.order
    expect(await at.ledger.takeDueRevocations(100)).toContain(id)
    expect(await at.ledger.findRevocation(id)).toMatchObject({
      state: 'running',
      match: { account: 'ci:x' },
      keepsTask: true,
    })
    // What a broker that counted tells afterwards neither starts it anew nor makes it due again.
    await at.ledger.createRevocation({ id, match: {}, reason: 'r', actor: 'a', matched: 7 })
    expect(await at.ledger.findRevocation(id)).toMatchObject({ match: { account: 'ci:x' }, matched: 7 })
    await at.ledger.revocationScanned(id)
    await at.ledger.createRevocation({ id, match: {}, reason: 'r', actor: 'a', matched: 9 })
    expect(await at.ledger.findRevocation(id)).toMatchObject({ state: 'done', matched: 0 })
    await at.raw.zadd(`${at.tag}due:revocations`, 'XX', 1, id)
    expect(await at.ledger.takeDueRevocations(100)).not.toContain(id)
  })

  test('with an end is due then; one whose end has passed is refused', async () => {
    const now = await at.ledger.now()
    expect(await at.ledger.setLock(aLock({ all: true }, { expiresAt: now - 1 }))).toEqual({ outcome: 'past' })
    const answer = await at.ledger.setLock(aLock({ account: 'ci:y' }, { lastsMs: 60_000 }))
    if (answer.outcome !== 'ok') throw new Error(answer.outcome)
    const { id, createdAt, expiresAt } = answer.lock
    expect(expiresAt).toBe(createdAt + 60_000)
    expect(await at.ledger.findLock(id)).toEqual(answer.lock)
    expect(await at.ledger.takeDueLocks(10)).toEqual([])
    await at.raw.zincrby(`${at.tag}due:locks`, -60_000, id)
    expect(await at.ledger.takeDueLocks(10)).toEqual([id])
  })

  test('10,001 are too many: the key stays bounded', async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => [`lock_full_${i}`, '{}']).flat()
    await at.raw.hset(`${at.tag}locks`, ...many)
    expect(await at.ledger.setLock(aLock({ all: true }))).toEqual({ outcome: 'full' })
    expect(await at.raw.exists(`${at.tag}locked`)).toBe(0)
    await at.raw.del(`${at.tag}locks`)
  })

  test('a list of them goes by age and by pages', async () => {
    const ids: string[] = []
    for (const n of [1, 2, 3]) {
      ids.push(await setLock({ account: `ci:${n}` }))
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect((await at.ledger.listLocks(0, 2)).map(({ id }) => id)).toEqual(ids.slice(0, 2))
    expect((await at.ledger.listLocks(2, 2)).map(({ target }) => target)).toEqual([{ account: 'ci:3' }])
  })
})
