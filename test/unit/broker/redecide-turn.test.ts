// Who judges, in what order, and how far without an operator's word.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { judgePage } from '../../../src/broker/judge-live.js'
import { inOrder, mostWithoutWord, redecide } from '../../../src/broker/redecide.js'
import { startTestBroker, type TestBroker } from '../../support/broker.js'
import {
  addPolicy,
  change,
  config,
  ended,
  ground,
  letChangesAge,
  load,
  outcomeOf,
  removePolicy,
  stands,
  startChangeStory,
} from '../../support/rule-changes.js'
import type { Story } from '../../support/story.js'

let story: Story
let other: TestBroker
beforeAll(async () => {
  story = await startChangeStory()
  other = await startTestBroker({ redis: story.redis, far: story.farUrl, instance: 'two' })
  await load(story, ground, other, 'two')
  // What the one had issued by the set before is looked at again.
  await redecide(other.parts)
})
afterAll(async () => {
  await other.close()
  await story.close()
})

// Each is about changes of its own.
beforeEach(() => letChangesAge(story))

const look = (lease: string) => outcomeOf(story, lease)
const noWrites = `@id("no-writes")
forbid (principal, action == Action::"repo.write", resource);`
const noReads = `@id("no-reads")
forbid (principal, action == Action::"repo.read", resource);`
const unrelated = `@id("unrelated")
forbid (principal == Workload::"ci:nobody", action == Action::"repo.write", resource);`

/** So many leases of one kind, each of an account of its own. */
async function several(count: number, action: string): Promise<string[]> {
  const bought = await Promise.all(Array.from({ length: count }, () => story.bought({ action })))
  return bought.map(({ lease }) => lease.id)
}
const endAll = (leases: readonly string[]) =>
  story.parts.ledger.endLeases(leases, { reason: 'released', actor: 'test' }).then(() => undefined)

describe('what is held', () => {
  test('does not count the lease itself, in whatever program judges it', async () => {
    const caller = story.caller('gina')
    const { lease } = await story.buy(caller, await story.task(caller), { action: 'deploy.run' })
    await change(story, addPolicy(unrelated))
    expect(await look(lease.id)).toEqual(stands)
    // A program that knows nothing of the set before has only the rule itself: nobody holds two deployments.
    const none = { requiredBefore: null, before: null }
    expect(await judgePage(story.parts, story.parts.rules(), [await story.lease(lease.id)], none)).toEqual([])
    await endAll([lease.id])
    await change(story, removePolicy(unrelated))
  })

  test('counts what else is held: a new rule against two ends both', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const [one, two] = [(await story.buy(caller, task)).lease.id, (await story.buy(caller, task)).lease.id]
    const alone = (await story.bought()).lease.id
    const rule = `@id("one-only")
forbid (principal, action == Action::"repo.read", resource) when { context.account.holding.contains("repo.read") };`
    await change(story, addPolicy(rule))
    expect([await look(one), await look(two), await look(alone)]).toEqual([
      ended('forbidden', ['one-only']),
      ended('forbidden', ['one-only']),
      stands,
    ])
    await endAll([alone])
    await change(story, removePolicy(rule))
  })

  test('that came later ends nothing where the rule about it was there before', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const written = (await story.buy(caller, task, { action: 'repo.write', resource: 'repo:acme/guarded' })).lease.id
    const read = (await story.buy(caller, task)).lease.id
    await change(story, addPolicy(unrelated))
    expect(await look(written)).toEqual(stands)
    await endAll([written, read])
    await change(story, removePolicy(unrelated))
  })
})

describe('the order', () => {
  test('is the most privileged first, and in it the most sensitive', () => {
    const one = (lease: string, access: 'read' | 'write' | 'deploy' | 'admin', sensitivity: string | null) => ({
      lease,
      access,
      sensitivity,
      reason: 'forbidden' as const,
      policies: [],
      principal: '',
      decided: null,
    })
    const mixed = [
      one('read-critical', 'read', 'critical'),
      one('write-none', 'write', null),
      one('admin-low', 'admin', 'low'),
      one('write-low', 'write', 'low'),
      one('write-critical', 'write', 'critical'),
      one('deploy', 'deploy', 'high'),
    ]
    expect(inOrder(mixed).map(({ lease }) => lease)).toEqual([
      'admin-low',
      'deploy',
      'write-critical',
      'write-low',
      'write-none',
      'read-critical',
    ])
  })
})

describe('the brake', () => {
  test('lets the count or the share, whichever is more', () => {
    const rules = { change: { brakeLeases: 20, brakePercent: 5, endsPerSecond: 200 } }
    expect([0, 399, 400, 420, 1000].map((live) => mostWithoutWord(rules, live))).toEqual([20, 20, 20, 21, 50])
  })

  test('holds the live ones for an operator’s word while new requests meet the new set', async () => {
    await change(story, config('providers: {', 'policy_change: { brake_leases: 2, brake_percent: 0 }\nproviders: {'))
    const leases = await several(3, 'repo.write')
    const judged = await change(story, addPolicy(noWrites))
    expect(judged).toMatchObject({ outcome: 'waiting', doomed: 3, ended: 0 })
    for (const lease of leases) expect(await look(lease)).toEqual(stands)
    await expect(story.bought({ action: 'repo.write' })).rejects.toMatchObject({ code: 'denied' })
    const waiting = await story.parts.ledger.findRulesChange()
    expect(waiting).toMatchObject({ state: 'waiting', doomed: 3, ended: 0, hash: story.parts.rules().hash })
    expect(await story.records('rules.change_waits')).toMatchObject([{ doomed: 3, most: 2, rules: waiting?.hash }])
    expect(await redecide(story.parts)).toBeNull()
    // Two at a time would come to the same in the end.
    expect(await story.parts.ledger.releaseRedecision('0'.repeat(64), 'staff:olga')).toBe(false)
    expect(await story.parts.ledger.releaseRedecision(waiting?.hash ?? '', 'staff:olga')).toBe(true)
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 3 })
    for (const lease of leases) expect(await look(lease)).toEqual(ended('forbidden', ['no-writes']))
    await change(story, removePolicy(noWrites))
  })

  test('is not got round by what was ended of the same set before', async () => {
    const [first] = await several(2, 'repo.write')
    await change(story, addPolicy(noWrites))
    expect((await look(first ?? '')).state).toBe('revoking')
    // A program that is late issues two more by the old set, and then comes over.
    await load(story, {}, other, 'three')
    const late = other.parts.rules()
    expect(late.hash).not.toBe(story.parts.rules().hash)
    const caller = story.caller()
    const { exchange } = await import('../../../src/broker/exchange.js')
    const task = await story.task(caller)
    const more = await exchange(
      other.parts,
      caller,
      task.id,
      { action: 'repo.write', resource: 'repo:acme/web', context: {} },
      null,
    )
    await story.parts.ledger.adoptRules('three', story.parts.rules().hash)
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'waiting', doomed: 1 })
    expect(await look(more.lease.id)).toEqual(stands)
    await endAll([more.lease.id])
    await change(story, removePolicy(noWrites))
    await change(story, config('brake_leases: 2, brake_percent: 0', 'brake_leases: 20'))
  })
})

describe('what a killed worker had ended', () => {
  test('is counted with the end itself, once, and to the rules in force alone', async () => {
    await change(story, config('brake_leases: 20', 'brake_leases: 3'))
    const [other, counted, ...rest] = await several(5, 'repo.write')
    const { hash } = await load(story, addPolicy(noWrites))
    const endedBy = async (rules: string, lease = '') => {
      await story.parts.ledger.endLeases([lease], { reason: 'policy_changed', actor: 'policy', rules })
      return (await story.parts.ledger.findRulesChange())?.ended
    }
    expect(await endedBy('0'.repeat(64), other)).toBe(0)
    // Killed directly behind the end: nothing else was said of it.
    expect(await endedBy(hash, counted)).toBe(1)
    expect(await endedBy(hash, counted)).toBe(1)
    // Three more would be four by one change.
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'waiting', doomed: 3, ended: 0 })
    await endAll(rest)
    await change(story, removePolicy(noWrites))
    await change(story, config('brake_leases: 3', 'brake_leases: 20'))
  })
})

describe('of many programs', () => {
  test('one judges, and one with the old set brings nothing back', async () => {
    const [lease] = await several(1, 'repo.read')
    const old = other.parts.rules().hash
    await load(story, addPolicy(noReads))
    expect(await story.parts.ledger.adoptRules('two', old)).toMatchObject({ role: 'other' })
    expect(await redecide(other.parts)).toBeNull()
    const turns = await Promise.all([redecide(story.parts), redecide(story.parts), redecide(other.parts)])
    expect(turns.filter((turn) => turn !== null)).toMatchObject([{ outcome: 'done', ended: 1 }])
    expect(await look(lease ?? '')).toEqual(ended('forbidden', ['no-reads']))
    expect(await story.parts.ledger.adoptRules('two', old)).toMatchObject({ role: 'other' })
    expect((await story.recordsOf(lease ?? '')).filter((one) => one.event === 'lease.redecided')).toHaveLength(1)
    await change(story, removePolicy(noReads))
  })

  test('what one issued by the old set after the others were judged is judged when it comes over', async () => {
    await change(story, addPolicy(noReads))
    expect((await story.parts.ledger.findRulesChange())?.state).toBe('done')
    const caller = story.caller()
    const { exchange } = await import('../../../src/broker/exchange.js')
    const task = await story.task(caller)
    const asked = { action: 'repo.read', resource: 'repo:acme/web', context: {} }
    const { lease } = await exchange(other.parts, caller, task.id, asked, null)
    expect(await redecide(story.parts)).toBeNull()
    await story.parts.ledger.adoptRules('two', story.parts.rules().hash)
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 1 })
    expect(await look(lease.id)).toEqual(ended('forbidden', ['no-reads']))
    await change(story, removePolicy(noReads))
  })

  test('what was issued while a ban was lifted for a moment, too short for anybody to judge by it, ends with the ban', async () => {
    let open = ''
    await change(story, {
      policies: (text) => {
        open = text
        return `${text}\n${noReads}`
      },
    })
    const banned = story.parts.rules().hash
    await load(story, { policies: () => open })
    const [lease] = await several(1, 'repo.read')
    await load(story, { policies: () => `${open}\n${noReads}` })
    expect(story.parts.rules().hash).toBe(banned)
    const { pendingChange } = await import('../../../src/broker/apply-change.js')
    expect((await pendingChange(story.parts, null)).leases.map((one) => one.lease)).toEqual([lease])
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 1 })
    expect(await look(lease ?? '')).toEqual(ended('forbidden', ['no-reads']))
    await change(story, removePolicy(noReads))
  })

  test('another goes on where one was killed', async () => {
    const leases = await several(4, 'repo.read')
    const { hash } = await load(story, addPolicy(noReads))
    const turn = await story.parts.ledger.beginRedecision(hash)
    expect(turn).not.toBeNull()
    await story.parts.ledger.endLeases(leases.slice(0, 2), { reason: 'policy_changed', actor: 'policy' })
    // It says no more: for ten seconds the turn is still its own.
    expect(await redecide(story.parts)).toBeNull()
    await story.at.raw.hset(`${story.at.tag}rules`, 'held', Date.now() - 1)
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 2 })
    for (const lease of leases) expect((await story.lease(lease)).endReason).toBe('policy_changed')
    if (turn) expect(await story.parts.ledger.keepRedecision(turn)).toBe(false)
    await change(story, removePolicy(noReads))
  })

  test('whoever is told to stop gives its turn back', async () => {
    await several(1, 'repo.read')
    await load(story, addPolicy(noReads))
    const stop = new AbortController()
    const work = redecide(story.parts, undefined, stop.signal)
    await new Promise((resolve) => setImmediate(resolve))
    stop.abort()
    await work
    expect((await redecide(other.parts)) ?? (await redecide(story.parts))).toMatchObject({ outcome: 'done' })
    await change(story, removePolicy(noReads))
  })
})
