import { describe, expect, test } from '@jest/globals'
import type { Settlement } from '../../../src/ledger/ledger.js'
import type { Task } from '../../../src/ledger/task.js'
import { activeLease, aTask, letTimePass, openTask, reserve, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { keysUnder } from '../../support/redis.js'

const at = ledgerOfThisFile()

async function settleAs(lease: string, state: Settlement['state'], over: Partial<Settlement> = {}): Promise<void> {
  await at.ledger.endLeases([lease], { reason: 'released', actor: 'a', mintOver: true })
  const token = `w-${lease}`
  await at.ledger.claim(lease, token)
  expect(await at.ledger.settle(lease, token, settlementOf(state, over))).toBe(true)
}

const looks = async (task: Task) => (await at.ledger.lookHolders(task.holders)).holders

describe('what is held', () => {
  test.each(['revoked', 'expired', 'void'] as const)('is nothing any more after %s', async (state) => {
    const task = await openTask(at.ledger)
    const lease = await reserve(at.ledger, task)
    const before = (await looks(task)).map((one) => Number(one.version))
    await settleAs(lease, state)
    for (const [i, one] of (await looks(task)).entries()) {
      expect(one).toMatchObject({ activeLeases: 0, holding: [], holdingAccess: [], holdingResources: [] })
      expect(Number(one.version)).toBeGreaterThan(before[i] ?? 0)
    }
    expect((await at.ledger.findTask(task.id))?.activeLeases).toBe(0)
    expect(
      Object.keys(await at.raw.hgetall(`${at.tag}h:${task.holders[0]?.id}`)).filter((n) => n.startsWith('h:')),
    ).toEqual([])
  })

  test('is still held while it is revoking and while it failed', async () => {
    const task = await openTask(at.ledger)
    const lease = await activeLease(at.ledger, task)
    await settleAs(lease, 'failed', { lookAt: (await at.ledger.now()) + 60_000 })
    expect((await looks(task)).map((one) => one.holding)).toEqual([['repo.read'], ['repo.read']])
  })

  test('is counted lease by lease, each name until its last one ends', async () => {
    const task = await openTask(at.ledger)
    const one = await reserve(at.ledger, task)
    const two = await reserve(at.ledger, task, { action: 'repo.write', access: 'write' })
    const three = await reserve(at.ledger, task)
    await settleAs(one, 'revoked')
    expect((await looks(task))[0]).toMatchObject({ activeLeases: 2, holding: ['repo.read', 'repo.write'] })
    await settleAs(three, 'revoked')
    expect((await looks(task))[0]).toMatchObject({ activeLeases: 1, holding: ['repo.write'], holdingAccess: ['write'] })
    await settleAs(two, 'revoked')
    expect((await looks(task))[0]).toMatchObject({ activeLeases: 0, holding: [], holdingResources: [] })
  })

  test('across two tasks of one account is one holding', async () => {
    const one = await openTask(at.ledger)
    const two = await openTask(at.ledger, aTask({ account: one.account, holders: one.holders }))
    await reserve(at.ledger, one)
    await reserve(at.ledger, two, { action: 'repo.write', access: 'write' })
    expect((await looks(one))[0]).toMatchObject({ activeLeases: 2, holding: ['repo.read', 'repo.write'] })
    expect((await at.ledger.findTask(one.id))?.activeLeases).toBe(1)
  })
})

describe('what was granted', () => {
  test('is remembered after its end, and which lease was the last', async () => {
    const task = await openTask(at.ledger)
    const lease = await reserve(at.ledger, task, { sensitivity: 'high' })
    await settleAs(lease, 'revoked')
    expect((await looks(task))[1]).toMatchObject({
      granted: ['repo.read'],
      grantedResources: ['repo:acme/web'],
      grantedSensitivities: ['high'],
      lastLease: lease,
    })
  })

  test('forgets only what was never minted', async () => {
    const task = await openTask(at.ledger)
    await settleAs(await reserve(at.ledger, task), 'revoked')
    const version = (await looks(task))[0]?.version
    await settleAs(await reserve(at.ledger, task, { action: 'repo.write', access: 'write' }), 'void')
    expect((await looks(task))[0]).toMatchObject({ granted: ['repo.read'], grantedAccess: ['read'] })
    expect((await looks(task))[0]?.version).not.toBe(version)
  })

  test('leaves the memory when its window is over, and that raises the version', async () => {
    const task = await openTask(at.ledger)
    await settleAs(await reserve(at.ledger, task), 'revoked')
    const [account] = task.holders
    const key = `${at.tag}h:${account?.id}:g`
    const before = (await looks(task))[0]?.version
    for (const member of await at.raw.zrange(key, '0', '-1')) await at.raw.zincrby(key, -86_400_001, member)
    const after = (await looks(task))[0]
    expect(after).toMatchObject({ granted: [], grantedTtls: [] })
    expect(Number(after?.version)).toBeGreaterThan(Number(before))
  })

  test('stays in it while it is held, however long ago it was granted', async () => {
    const task = await openTask(at.ledger)
    const lease = await activeLease(at.ledger, task, { sensitivity: 'high' })
    await settleAs(await reserve(at.ledger, task, { action: 'repo.write', access: 'write', ttl: 30 }), 'revoked')
    const [account] = task.holders
    const key = `${at.tag}h:${account?.id}:g`
    for (const member of await at.raw.zrange(key, '0', '-1')) await at.raw.zincrby(key, -86_400_001, member)
    expect((await looks(task))[0]).toMatchObject({
      holding: ['repo.read'],
      granted: ['repo.read'],
      grantedAccess: ['read'],
      grantedResources: ['repo:acme/web'],
      grantedSensitivities: ['high'],
    })
    await settleAs(lease, 'revoked')
    expect((await looks(task))[0]).toMatchObject({ granted: [], grantedAccess: [], grantedSensitivities: [] })
  })

  test('names the newest lease that was minted', async () => {
    const task = await openTask(at.ledger)
    const [one, two] = [await reserve(at.ledger, task), await reserve(at.ledger, task)]
    const session = async () => (await looks(task))[1]
    expect((await session())?.grantedBy).toEqual({ 'c:read': two, 't:60': two })
    await settleAs(two, 'void')
    expect((await session())?.grantedBy).toEqual({ 'c:read': one, 't:60': one })
    expect((await session())?.lastLease).toBeNull()
    await settleAs(one, 'void')
    expect((await session())?.grantedBy).toEqual({})
    // Only of the session is it ever asked.
    expect((await looks(task))[0]?.grantedBy).toEqual({})
  })

  test('of an instance is remembered as long as the instance is known', async () => {
    const task = aTask()
    const [account, session] = task.holders
    if (!account || !session) throw new Error('no holders')
    const opened = await openTask(at.ledger, { ...task, holders: [account, { ...session, windowMs: 0 }] })
    await settleAs(await reserve(at.ledger, opened), 'revoked')
    const key = `${at.tag}h:${session.id}:g`
    for (const member of await at.raw.zrange(key, '0', '-1')) await at.raw.zadd(key, 1, member)
    expect((await looks(opened))[1]?.granted).toEqual(['repo.read'])
  })
})

describe('every key has an end or a bound', () => {
  test('a holder that Redis has forgotten is not brought back by the end of an old lease', async () => {
    const task = await openTask(at.ledger)
    const lease = await activeLease(at.ledger, task)
    for (const holder of task.holders) await at.raw.del(`${at.tag}h:${holder.id}`)
    await settleAs(lease, 'revoked')
    for (const holder of task.holders) expect(await at.raw.exists(`${at.tag}h:${holder.id}`)).toBe(0)
  })

  test('after everything has ended, what has no TTL is bounded and empty of leases', async () => {
    const capacity = { key: 'room', leases: 50 }
    for (const state of ['revoked', 'expired', 'void', 'released', 'abandoned'] as const) {
      const task = await openTask(at.ledger, aTask(), { idempotency: { key: `open-${state}`, bodySha256: 'b' } })
      const idempotency = { key: 'k', bodySha256: 'b' }
      const lease = await reserve(at.ledger, task, { capacity: 'room', provider: 'tidy' }, { capacity, idempotency })
      await at.ledger.noteDenial(task.holders.map((holder) => holder.id))
      await at.ledger.createRevocation({ id: `rev_${state}`, match: {}, reason: 'r', actor: 'a', matched: 1 })
      const order = { reason: 'revoked', actor: 'a', revocation: `rev_${state}`, mintOver: true } as const
      await at.ledger.endTask(task.id, 'succeeded')
      await at.ledger.endLeases([lease], order)
      await at.ledger.revocationScanned(`rev_${state}`)
      await settleAs(lease, state)
      await at.ledger.taskLeasesEnded(task.id)
      await letTimePass(at, lease, 61_000)
      await at.ledger.takeDue(['tidy'], 10)
      await at.ledger.claim(lease, 'last')
    }
    const tidy = (await keysUnder(at.raw, at.redis.prefix)).filter((name) => !/:(due|ending|n):far$/.test(name))
    const endless: string[] = []
    for (const name of tidy) if ((await at.raw.pttl(name)) === -1) endless.push(name.slice(at.tag.length))
    // Tasks that earlier tests left open are due; these are one each per ledger, and the providers' names no more than there are.
    const bounded = [
      ...['due:tasks', 'due:revocations', 'due:tidy', 'incarnation', 'swept', 'locked', 'owed'],
      'providers',
    ]
    const open = await at.raw.zrange(`${at.tag}due:tasks`, '0', '-1')
    const ofOpenTasks = (name: string) => open.some((task) => name.startsWith(`t:${task}`))
    const live = (name: string) => name.startsWith('l:')
    const left = endless.filter((name) => !bounded.includes(name) && !ofOpenTasks(name))
    for (const name of left.filter(live)) {
      expect(await at.raw.hget(`${at.tag}${name}`, 'state')).toMatch(/reserved|active|revoking|failed/)
    }
    expect(left.filter((name) => !live(name))).toEqual([])
    expect(await at.raw.zcard(`${at.tag}due:tidy`)).toBe(0)
    expect(await at.raw.zcard(`${at.tag}due:revocations`)).toBe(0)
  })
})
