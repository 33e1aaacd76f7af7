// Large orders: left to a worker, worked off beside everything else without the queue, the most privileged first.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { carryOut, forceRevoke } from '../../../src/broker/force-revoke.js'
import { createId } from '../../../src/core/ids.js'
import type { LeaseRecord } from '../../../src/ledger/lease.js'
import { startRevocationWorkers } from '../../../src/worker/revocation-worker.js'
import { aReservation, openTask } from '../../support/ledger.js'
import { type Story, startStory, untilAnswered } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({
    limits: '{ provider: { active_leases: 100000 } }',
    breakers: { failures: 1, firstMs: 60_000, longestMs: 60_000 },
  })
})
afterAll(async () => {
  await story.close()
})

/** Live leases of one account at the jwt provider, written as the broker writes them. */
async function live(count: number, record: (index: number) => Partial<LeaseRecord>) {
  const { ledger, sealing } = story.parts
  const task = await openTask(ledger)
  const limits = { task: 1_000_000, account: 1_000_000, provider: 1_000_000 }
  const make = async (index: number) => {
    const lease = createId('lease', Date.now())
    const over = { lease, ttlSeconds: 600, limits }
    const one = await aReservation(ledger, task, { provider: 'tokens', ...record(index) }, over)
    const reserve = async () => {
      const { holders } = await ledger.lookHolders(task.holders)
      return await ledger.reserve({ ...one, versions: holders.map(({ version }) => version) })
    }
    while ((await untilAnswered(reserve)).outcome === 'version');
    const exp = Math.floor(Date.now() / 1000) + 600
    const sealedHandle = sealing.seal({ jti: lease, exp, verified_by: 'introspection' }, lease, 'tokens')
    const known = { sealedHandle, providerExpiresAt: exp * 1000, providerRef: lease, fingerprints: [] }
    await ledger.activate(lease, known, [])
    return lease
  }
  const leases: string[] = []
  while (leases.length < count) {
    await story.keepIssuing()
    const page = Array.from({ length: Math.min(100, count - leases.length) }, (_, i) => make(leases.length + i))
    leases.push(...(await Promise.all(page)))
  }
  return { leases, task }
}

const bulk = (rank: number) => ({ reason: 'revoked', actor: 'olga', forced: true, bulk: rank }) as const
const dueAt = async (lease: string) => Number(await story.at.raw.zscore(`${story.at.tag}due:tokens`, lease))

test('what a large order reaches has no job; it is handed out by rank, each once, and looked at again should it be dropped', async () => {
  const { ledger } = story.parts
  const { leases } = await live(3, () => ({}))
  const [read = '', deploy = '', write = ''] = leases
  expect((await ledger.endLeases([read], bulk(3))).due).toEqual([])
  expect((await ledger.endLeases([deploy], bulk(1))).due).toEqual([])
  expect((await ledger.endLeases([write], bulk(2))).due).toEqual([])
  for (const lease of leases) {
    expect(await story.lease(lease)).toMatchObject({ state: 'revoking', endReason: 'revoked' })
    // In the index of what is looked after, and not in the way of what is due now.
    expect(await dueAt(lease)).toBeGreaterThan((await ledger.now()) + 9000)
  }
  expect(await ledger.takeBulk('tokens', 2)).toEqual([deploy, write])
  expect(await ledger.takeBulk('tokens', 2)).toEqual([read])
  expect(await ledger.takeBulk('tokens', 2)).toEqual([])
  for (const lease of leases) expect(await dueAt(lease)).toBeLessThanOrEqual((await ledger.now()) + 5000)
  for (const lease of leases) await story.finish(lease)
})

test("while a provider does not answer, what it has stays in the order's place", async () => {
  const { lease: stuck } = await story.bought()
  await story.parts.ledger.endLeases([stuck.id], bulk(0))
  const pass = story.parts.breakers.revoke('far').enter()
  pass?.unanswered()
  await story.sweep()
  expect((await story.lease(stuck.id)).state).toBe('revoking')
  expect(await story.at.raw.zcard(`${story.at.tag}bulk:far`)).toBe(1)
  expect(story.far.alive()).toContain(stuck.id)
  expect(await story.parts.ledger.takeBulk('far', 10)).toEqual([stuck.id])
})

test('an order over more than a thousand is answered before it is carried out; a worker does it, once, by rank', async () => {
  const access = (i: number) => (i % 100 === 0 ? 'admin' : i % 10 === 1 ? 'write' : 'read')
  const { leases, task } = await live(1200, (i) => ({ access: access(i) }))
  // Workers sweep, however long this takes: an order that finds none is carried out by whoever was asked.
  await story.keepIssuing()
  const { id, matched } = await forceRevoke(story.parts, story.operator(), {
    target: { account: task.account },
    reason: 'an incident',
    dry_run: false,
  })
  expect(matched).toBe(1200)
  expect((await story.lease(leases[5] ?? '')).state).toBe('active')
  // The most privileged are jobs as soon as they are seen; the rest is worked off by the sweeps.
  const workers = startRevocationWorkers(story.parts, story.broker.connectPatient, story.redis.prefix)
  try {
    for (let i = 0; i < 1000 && (await story.parts.ledger.findRevocation(id ?? ''))?.state !== 'done'; i++) {
      await story.sweep()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  } finally {
    await workers.drain()
  }
  expect(await story.parts.ledger.findRevocation(id ?? '')).toMatchObject({ state: 'done', matched: 1200, done: 1200 })
  const ended = await story.parts.ledger.findLeases(leases)
  expect(new Set(ended.map(({ state }) => state))).toEqual(new Set(['revoked']))
  const last = (of: string) =>
    Math.max(...ended.filter(({ record }) => record.access === of).map(({ endedAt }) => endedAt ?? 0))
  expect(last('admin')).toBeLessThan(last('read'))
  expect(last('write')).toBeLessThanOrEqual(last('read'))
  // Nothing of it is left to be taken by anybody.
  expect(await story.parts.ledger.takeBulk('tokens', 10)).toEqual([])
  expect(await story.parts.ledger.takeDueRevocations(10)).toEqual([])
}, 300_000)

test('an order that is being carried out is not begun by another worker', async () => {
  const { ledger } = story.parts
  const id = createId('rev', Date.now())
  await ledger.createRevocation({ id, match: { account: 'ci:nobody' }, reason: 'r', actor: 'olga', matched: 0 })
  await ledger.keepOrder(id)
  expect(await ledger.takeDueRevocations(10)).toEqual([])
  await carryOut(story.parts, id)
  // Over: to keep it brings nothing back.
  await ledger.keepOrder(id)
  expect(await story.at.raw.zscore(`${story.at.tag}due:revocations`, id)).toBeNull()
})
