// Chains of tasks (I7, I8): what is judged at each request, and what ends with what.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { dryRun } from '../../../src/broker/dry-run.js'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { setLock } from '../../../src/broker/set-lock.js'
import type { LockTarget } from '../../../src/ledger/lock.js'
import { aPair, deploy, handOver, migrate, openChild, read, toDelegate, write } from '../../support/chain.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  // What happens while the provider is minting takes its time on a busy machine.
  story = await startStory({ provider: { timeoutSeconds: 20 } })
})
afterAll(async () => {
  await story.close()
})
beforeEach(async () => {
  story.far.calm()
  await story.parts.ledger.takeDue([], 1)
})

/** How it was refused; the provider saw nothing of it, and the audit did. */
async function denialOf(work: () => Promise<unknown>) {
  const [seen, before] = [story.far.seen.length, (await story.records('decision.denied')).length]
  const { code, members } = await refusalOf(work())
  expect(story.far.seen).toHaveLength(seen)
  expect(await story.records('decision.denied')).toHaveLength(before + 1)
  return { code, reason: members.reason, denied_for: members.denied_for }
}

describe('a child task', () => {
  test('has its place in the chain, its ceiling, all holders, and no more time than its parent', async () => {
    const { boss, helper, parent, child, delegation } = await aPair(story, [read])
    expect(child).toMatchObject({
      parent: parent.id,
      depth: 1,
      chain: [child.id, parent.id],
      delegation: delegation.id,
      ceiling: [['repo.read', 'repo:acme/web']],
      principal: helper.principal.id,
    })
    expect(child.holders).toHaveLength(4)
    expect(child.expiresAt).toBeLessThanOrEqual(parent.expiresAt)
    const [created] = (await story.records('delegation.created')).filter((one) => one.delegation === delegation.id)
    expect(created).toMatchObject({ principal: boss.principal.id, task: parent.id, chain: [parent.id] })
  })

  test('buys within its ceiling, and lease and decision say who stands above', async () => {
    const { boss, helper, child } = await aPair(story, [read])
    const { lease } = await story.buy(helper, child, read)
    expect(lease.record.above).toEqual([{ principal: boss.principal.id, account: boss.principal.account }])
    expect(lease.record.holders).toHaveLength(4)
    const [reserved] = (await story.recordsOf(lease.id)).filter(({ event }) => event === 'lease.reserved')
    expect(reserved?.decision).toMatchObject({ ancestors: [{ effect: 'permit', task: child.parent }] })
    expect(await denialOf(() => story.buy(helper, child, write))).toMatchObject({
      code: 'denied',
      reason: 'outside_ceiling',
    })
  })

  test('of a child is bound by every ceiling above, and to the account of everybody above', async () => {
    const { helper, parent, child } = await aPair(story, [read, write])
    const third = story.caller()
    const { delegation } = await handOver(story, helper, child, toDelegate(third), [write])
    const { task: grandchild } = await openChild(story, third, delegation.id, { ttl_seconds: 86_400 })
    expect(grandchild).toMatchObject({ depth: 2, chain: [grandchild.id, child.id, parent.id] })
    expect(grandchild.expiresAt).toBeLessThanOrEqual(parent.expiresAt)
    expect(grandchild.holders).toHaveLength(6)
    expect((await story.buy(third, grandchild, write)).lease.record.above).toHaveLength(2)
    expect(await denialOf(() => story.buy(third, grandchild, read))).toMatchObject({ reason: 'outside_ceiling' })
  })
})

describe('each hop is judged', () => {
  test('what the parent may not now, its child may not: its holdings count', async () => {
    const { boss, helper, parent, child } = await aPair(story)
    await story.buy(boss, parent, migrate)
    const denial = await denialOf(() => story.buy(helper, child, deploy))
    expect(denial).toEqual({ code: 'denied', reason: 'forbidden', denied_for: boss.principal.id })
  })

  test('the reverse: what the child was granted forbids the parent its next step, until its receipt', async () => {
    const { boss, helper, parent, child } = await aPair(story)
    const { lease } = await story.buy(helper, child, migrate)
    expect(await denialOf(() => story.buy(boss, parent, deploy))).toEqual({
      code: 'denied',
      reason: 'forbidden',
      denied_for: undefined,
    })
    await story.endTask(child)
    await story.finish(lease.id)
    expect((await story.buy(boss, parent, deploy)).lease.state).toBe('active')
  })

  test('what was granted to the child stays granted to the parent', async () => {
    const { boss, helper, parent, child } = await aPair(story)
    const { lease } = await story.buy(helper, child, read)
    await story.endTask(child)
    await story.finish(lease.id)
    const guarded = { action: 'repo.write', resource: 'repo:acme/guarded' }
    expect(await codeOf(story.buy(boss, parent, guarded))).toBe('denied')
  })

  test('what the child holds elsewhere is its own and no burden of its parent', async () => {
    const { boss, helper, parent, child } = await aPair(story)
    const own = await story.task(helper)
    await story.buy(helper, own, migrate)
    expect((await story.buy(boss, parent, deploy)).lease.state).toBe('active')
    expect(await denialOf(() => story.buy(helper, child, deploy))).toMatchObject({ denied_for: undefined })
  })

  test('a denial counts against whoever asked, not against who stands above', async () => {
    const { boss, helper, parent, child } = await aPair(story, [read])
    await denialOf(() => story.buy(helper, child, write))
    const looks = await story.parts.ledger.lookHolders(child.holders)
    expect(looks.holders.map((look) => look.recentDenials)).toEqual([1, 1, 0, 0])
    expect((await story.buy(boss, parent, read)).lease.state).toBe('active')
  })

  test('of simultaneous requests through parent and child that exclude each other one is issued', async () => {
    for (let round = 0; round < 5; round++) {
      const { boss, helper, parent, child } = await aPair(story)
      const asked = Array.from({ length: 8 }, (_, i) =>
        i % 2 === 0
          ? story.buy(boss, parent, i % 4 === 0 ? deploy : migrate)
          : story.buy(helper, child, i % 4 === 1 ? deploy : migrate),
      )
      const codes = (await Promise.allSettled(asked)).map((one) =>
        one.status === 'fulfilled' ? 'issued' : (one.reason as { code: string }).code,
      )
      expect(codes.filter((code) => code === 'issued')).toHaveLength(1)
      expect(codes.filter((code) => code !== 'issued').every((code) => code === 'denied' || code === 'busy')).toBe(true)
    }
  })
})

describe('what ends', () => {
  test('with the parent: the child, its leases and all receipts', async () => {
    const { helper, parent, child } = await aPair(story)
    const { lease } = await story.buy(helper, child, read)
    expect(await story.endTask(parent)).toEqual([lease.id])
    expect((await story.finish(lease.id)).state).toBe('revoked')
    expect((await story.parts.ledger.findTask(child.id))?.state).toBe('ended')
    expect(await codeOf(story.buy(helper, child, read))).toBe('task_closed')
    expect(await story.endTask(parent)).toEqual([lease.id])
  })

  test('while the provider is minting: nothing is handed out, and what was made is revoked', async () => {
    const { helper, parent, child } = await aPair(story)
    story.far.during.secret = async () => void (await story.endTask(parent))
    expect(await codeOf(story.buy(helper, child, read))).toBe('task_closed')
    const lease = await story.finish((await story.onlyLeaseOf(child)).id)
    expect(lease).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
    expect(story.far.alive()).not.toContain(lease.id)
    const events = (await story.recordsOf(lease.id)).map(({ event }) => event)
    expect([events[0], events.at(-1)]).toEqual(['lease.reserved', 'lease.ended'])
    const ended = (await story.records('task.ended')).map(({ task }) => task)
    expect(ended).toEqual(expect.arrayContaining([parent.id, child.id]))
  })

  const targets: [string, (boss: string, parent: string) => LockTarget][] = [
    ['principal', (boss) => ({ principal: boss })],
    ['account', (boss) => ({ account: boss })],
    ['task', (_, parent) => ({ task: parent })],
  ]
  test.each(targets)('a lock on the %s above while the provider is minting stops the child', async (_, targetOf) => {
    const { boss, helper, parent, child } = await aPair(story)
    const target = targetOf(boss.principal.id, parent.id)
    let id = ''
    story.far.during.secret = async () => {
      const { lock, carriedOut } = await setLock(story.parts, story.operator(), { target, reason: 'stolen' })
      id = lock.id
      await carriedOut
    }
    const error = await refusalOf(story.buy(helper, child, read))
    expect(error).toMatchObject({ code: 'locked', members: { lock: { reason: 'stolen' } } })
    expect((await story.finish((await story.onlyLeaseOf(child)).id)).state).toBe('revoked')
    delete story.far.during.secret
    expect(await codeOf(story.buy(helper, child, read))).toBe('locked')
    expect(await codeOf(dryRun(story.parts, helper, child.id, asking(read)))).toBe('locked')
    const lock = await story.parts.ledger.findLock(id)
    if (lock) await removeLock(story.parts, story.operator(), lock)
    expect((await story.buy(helper, child, read)).lease.state).toBe('active')
  })

  test('an order against the principal above reaches what its delegates hold', async () => {
    const { boss, helper, child } = await aPair(story)
    const { lease } = await story.buy(helper, child, read)
    const target = { principal: boss.principal.id }
    const order = await forceRevoke(story.parts, story.operator(), { target, reason: 'r', dry_run: false })
    expect(order.matched).toBe(1)
    expect((await story.finish(lease.id)).endReason).toBe('revoked')
  })
})
