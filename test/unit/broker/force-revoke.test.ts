import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Target } from '../../../src/api/revocations.js'
import { type Exchanged, exchange } from '../../../src/broker/exchange.js'
import { carryOut, forceRevoke } from '../../../src/broker/force-revoke.js'
import type { Caller } from '../../../src/broker/parts.js'
import { createId } from '../../../src/core/ids.js'
import type { Task } from '../../../src/ledger/task.js'
import { startRevocationWorkers } from '../../../src/worker/revocation-worker.js'
import { asking, codeOf, type Story, startStory, untilAnswered } from '../../support/story.js'
import { aWorkload } from '../../support/story-config.js'

let story: Story
let left: Exchanged & { caller: Caller; task: Task }
let right: Exchanged & { caller: Caller; task: Task }
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(async () => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
  await forceRevoke(story.parts, story.operator(), { target: { all: true }, reason: 'clean', dry_run: false })
  for await (const page of story.parts.ledger.liveLeases({}, [...story.parts.providers.keys()])) {
    for (const lease of page) await story.finish(lease.id)
  }
  left = await story.bought()
  right = await story.bought({ action: 'token.read', resource: 'repo:acme/other' })
})

const order = (target: Target, dry_run = false) =>
  forceRevoke(story.parts, story.operator(), { target, reason: 'an incident', dry_run })

const progress = async (id: string | null) => await story.parts.ledger.findRevocation(id ?? '')

describe('the target', () => {
  const targets: [string, () => Target, ('left' | 'right')[]][] = [
    ['lease', () => ({ lease: left.lease.id }), ['left']],
    ['task', () => ({ task: left.task.id }), ['left']],
    ['principal', () => ({ principal: left.caller.principal.id }), ['left']],
    ['account', () => ({ account: left.caller.principal.account }), ['left']],
    ['issuer', () => ({ issuer: 'ci' }), ['left', 'right']],
    ['action', () => ({ action: 'token.read' }), ['right']],
    ['resource', () => ({ resource: 'repo:acme/other' }), ['right']],
    ['provider', () => ({ provider: 'far' }), ['left']],
    ['all', () => ({ all: true }), ['left', 'right']],
    ['nobody', () => ({ account: 'ci:nobody' }), []],
    ['an unknown task', () => ({ task: createId('task', 0) }), []],
    ['an unknown lease', () => ({ lease: createId('lease', 0) }), []],
  ]

  test.each(targets)('%s', async (_, target, reached) => {
    const expected = { left, right }
    expect(await order(target(), true)).toEqual({ id: null, matched: reached.length })
    for (const one of [left, right]) expect((await story.lease(one.lease.id)).state).toBe('active')
    const { id, matched } = await order(target())
    expect(matched).toBe(reached.length)
    for (const side of ['left', 'right'] as const) {
      const lease = await story.lease(expected[side].lease.id)
      expect([side, lease.state]).toEqual([side, reached.includes(side) ? 'revoking' : 'active'])
      if (!reached.includes(side)) continue
      expect(lease).toMatchObject({ endReason: 'revoked', endActor: 'staff:olga', forced: true })
      await story.finish(lease.id)
    }
    expect(await progress(id)).toMatchObject({
      state: 'done',
      matched: reached.length,
      done: reached.length,
      failed: 0,
    })
    const receipts = await story.parts.ledger.leasesOfRevocation(id ?? '', 0, 100)
    expect(receipts.sort()).toEqual(reached.map((side) => expected[side].lease.id).sort())
  })
})

describe('an order', () => {
  test('is on record with its target and reason, and ends the task that it names', async () => {
    const { id } = await order({ task: left.task.id })
    const records = await story.records('revocation.ordered')
    expect(records.at(-1)).toMatchObject({
      actor: 'staff:olga',
      revocation: id,
      target: { task: left.task.id },
      reason: 'an incident',
      matched: 1,
    })
    expect(await story.parts.ledger.findTask(left.task.id)).toMatchObject({ state: 'ended', outcome: 'revoked' })
    expect(await codeOf(story.buy(left.caller, left.task))).toBe('task_closed')
  })

  test('counts the leases of its task also where a worker is quicker than the order', async () => {
    const workers = startRevocationWorkers(story.parts, story.broker.connectPatient, story.redis.prefix)
    try {
      const { id } = await order({ task: left.task.id })
      for (let i = 0; i < 1500 && (await progress(id))?.state !== 'done'; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      expect(await progress(id)).toMatchObject({ state: 'done', matched: 1, done: 1 })
      expect(await story.parts.ledger.leasesOfRevocation(id ?? '', 0, 10)).toEqual([left.lease.id])
    } finally {
      await workers.drain()
    }
  })

  test('that failed says so; a second one tries again and both get to their end', async () => {
    story.far.mood.revoke = 'refuses'
    const first = await order({ lease: left.lease.id })
    await story.attempt(left.lease.id)
    expect(await progress(first.id)).toMatchObject({ state: 'done', done: 0, failed: 1 })
    story.far.calm()
    const second = await order({ provider: 'far' })
    expect(await progress(first.id)).toMatchObject({ state: 'running' })
    await story.finish(left.lease.id)
    for (const { id } of [first, second])
      expect(await progress(id)).toMatchObject({ state: 'done', done: 1, failed: 0 })
  })

  test('forces what was told to wait for its natural end, and is over when that has ended', async () => {
    const { lease } = await story.bought({ action: 'fixed.read' })
    await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller' })
    await story.attempt(lease.id)
    expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', receipt: { outcome: 'expires_at' } })
    const request = { target: { lease: lease.id }, reason: 'leaked', dry_run: false }
    const [first, second] = [
      await forceRevoke(story.parts, story.operator(), request),
      await forceRevoke(story.parts, story.operator(), request),
    ]
    for (const { id } of [first, second])
      expect(await story.parts.ledger.findRevocation(id ?? '')).toMatchObject({ state: 'running', matched: 1, done: 0 })
    expect(await story.finish(lease.id)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
    for (const { id } of [first, second])
      expect(await story.parts.ledger.findRevocation(id ?? '')).toMatchObject({ state: 'done', matched: 1, done: 1 })
  })

  test('is carried out although the audit is down, and the operator is told that it is not on record', async () => {
    story.broker.auditSwitch.isDown = () => true
    expect(await codeOf(order({ all: true }))).toBe('audit_unavailable')
    expect((await story.lease(left.lease.id)).state).toBe('revoking')
    expect((await story.lease(right.lease.id)).state).toBe('revoking')
  })

  test('whose broker died is carried out by a worker, once', async () => {
    const id = createId('rev', story.parts.clock.now())
    const match = { account: left.caller.principal.account }
    await story.parts.ledger.createRevocation({ id, match, reason: 'r', actor: 'staff:olga', matched: 1 })
    await story.sweep()
    expect(await story.lease(left.lease.id)).toMatchObject({ state: 'revoking', forced: true })
    expect((await story.lease(right.lease.id)).state).toBe('active')
    await carryOut(story.parts, id)
    await story.finish(left.lease.id)
    expect(await progress(id)).toMatchObject({ state: 'done', matched: 1, done: 1 })
    expect(await story.parts.ledger.takeDueRevocations(100)).toEqual([])
  })

  test('that Redis has forgotten is not asked for again', async () => {
    await story.at.raw.zadd(`${story.at.tag}due:revocations`, 1, 'rev_forgotten')
    await story.sweep()
    expect(await story.at.raw.zscore(`${story.at.tag}due:revocations`, 'rev_forgotten')).toBeNull()
  })

  test('over 600 leases misses none while a worker ends them under its hands', async () => {
    const leases: string[] = []
    for (let account = 0; account < 6; account++) {
      const caller = { principal: aWorkload(`bulk-${account}-${Date.now()}`), requestId: 'req_bulk' }
      for (let t = 0; t < 2; t++) {
        const task = await story.task(caller)
        await story.keepIssuing()
        const bought = await Promise.all(Array.from({ length: 50 }, () => exchangeUntilTaken(caller, task)))
        leases.push(...bought)
      }
    }
    const workers = startRevocationWorkers(story.parts, story.broker.connectPatient, story.redis.prefix)
    try {
      const { id } = await order({ action: 'token.read' })
      for (let i = 0; i < 1000 && (await progress(id))?.state !== 'done'; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      expect(await progress(id)).toMatchObject({ state: 'done', matched: 601, done: 601 })
      const states = (await story.parts.ledger.findLeases(leases)).map((lease) => lease.state)
      expect(states.filter((state) => state !== 'revoked')).toEqual([])
    } finally {
      await workers.drain()
    }
  }, 300_000)
})

/** The first few of a new account conflict with each other; whoever is told `busy` asks again. */
async function exchangeUntilTaken(caller: Caller, task: Task): Promise<string> {
  for (;;) {
    try {
      const asked = asking({ action: 'token.read', ttl_seconds: 600 })
      return (await untilAnswered(() => exchange(story.parts, caller, task.id, asked, null))).lease.id
    } catch (error) {
      if ((error as { code?: string }).code !== 'busy') throw error
    }
  }
}
