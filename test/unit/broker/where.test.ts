// Orders by what an incident names: filters that must all hold, and the most privileged first.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Where } from '../../../src/api/revocations.js'
import { carryOut, forceRevoke } from '../../../src/broker/force-revoke.js'
import { listLeases } from '../../../src/broker/list-leases.js'
import type { Lease } from '../../../src/ledger/lease.js'
import { aReservation } from '../../support/ledger.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
let left: Lease
let right: Lease
beforeAll(async () => {
  story = await startStory()
  left = await boughtBy({ ref: 'refs/heads/main', teams: ['web', 'data'], protected: true })
  await new Promise((resolve) => setTimeout(resolve, 20))
  right = await boughtBy({ ref: 'refs/heads/other', teams: ['web'], protected: false }, 'token.read')
})
afterAll(async () => {
  await story.close()
})

async function boughtBy(attributes: Record<string, string | boolean | string[]>, action = 'repo.read') {
  const caller = story.caller(undefined, { attributes })
  const task = await story.task(caller)
  return (await story.buy(caller, task, { action })).lease
}

const matched = async (where: Where) => {
  const order = { target: { where }, reason: 'r', dry_run: true }
  return (await forceRevoke(story.parts, story.operator(), order)).matched
}
const at = (lease: Lease) => new Date(lease.issuedAt ?? 0).toISOString()

describe('a filter', () => {
  const filters: [string, () => Where, number][] = [
    ['issuer', () => ({ issuer: 'ci' }), 2],
    ['another issuer', () => ({ issuer: 'prod' }), 0],
    ['issuer and action', () => ({ issuer: 'ci', action: 'token.read' }), 1],
    ['an attribute', () => ({ attributes: { ref: 'refs/heads/main' } }), 1],
    ['a member of a set', () => ({ attributes: { teams: 'data' } }), 1],
    ['attributes that both have', () => ({ attributes: { teams: 'web' } }), 2],
    ['attributes that must all hold', () => ({ attributes: { teams: 'web', protected: false } }), 1],
    ['an attribute that nobody has', () => ({ attributes: { color: 'red' } }), 0],
    ['policy', () => ({ policy: 'ci-may' }), 2],
    ['issued after', () => ({ issued_after: at(left) }), 1],
    ['issued before', () => ({ issued_before: at(right) }), 1],
    ['issued between', () => ({ issued_after: at(left), issued_before: at(right) }), 0],
    ['fingerprint', () => ({ fingerprint: right.fingerprints[0] ?? '' }), 1],
    ['session', () => ({ session: left.record.principal }), 1],
    ['state', () => ({ state: 'active' }), 2],
    ['state failed', () => ({ state: 'failed' }), 0],
  ]
  test.each(filters)('%s', async (_, where, count) => {
    expect(await matched(where())).toBe(count)
  })

  test('a session is named by the instance, as its task shows it', async () => {
    const caller = story.caller(undefined, { instance: 'ci:1296269/7/1' })
    const task = await story.task(caller)
    const { lease } = await story.buy(caller, task, { action: 'repo.read' })
    const listed = async (session: string) => (await listLeases(story.parts, { session }, null, 10)).leases
    expect((await listed('ci:1296269/7/1')).map(({ id }) => id)).toEqual([lease.id])
    expect(await matched({ session: 'ci:1296269/7/1' })).toBe(1)
    // What the ledger counts it by tells two accounts apart whose runs are called the same.
    expect(await matched({ session: `${caller.principal.account}#ci:1296269/7/1` })).toBe(1)
    for (const another of ['ci:1296269/7/2', caller.principal.account]) {
      expect([await listed(another), await matched({ session: another })]).toEqual([[], 0])
    }
    await story.endTask(task)
    await story.finish(lease.id)
  })

  test('issued after some time also reaches what is being minted at this moment', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const minting = await aReservation(story.parts.ledger, task, { action: 'repo.read' })
    const reserved = await story.parts.ledger.reserve(minting)
    expect(reserved.outcome).toBe('ok')
    const before = new Date((reserved.outcome === 'ok' ? reserved.now : 0) - 1000).toISOString()
    expect(await matched({ task: task.id, issued_after: before })).toBe(1)
    expect(await matched({ task: task.id, issued_before: before })).toBe(0)
    await story.parts.ledger.endLeases([minting.lease], { reason: 'mint_failed', actor: 'broker', mintOver: true })
    expect((await story.finish(minting.lease)).state).toBe('void')
  })

  test('is kept with the order, so that a worker reaches the same leases', async () => {
    const where = { attributes: { ref: 'refs/heads/none' }, issued_after: at(left) }
    const order = { target: { where }, reason: 'r', dry_run: false }
    const { id } = await forceRevoke(story.parts, story.operator(), order)
    expect(await story.parts.ledger.findRevocation(id ?? '')).toMatchObject({
      state: 'done',
      match: { attributes: { ref: 'refs/heads/none' }, issuedAfter: left.issuedAt },
    })
    expect((await story.lease(left.id)).state).toBe('active')
  })
})

test('the most privileged leases end first', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const actions = ['token.read', 'repo.read', 'repo.write', 'deploy.run', 'token.read']
  for (const action of actions) await story.buy(caller, task, { action })
  const ended: string[] = []
  const parts = {
    ...story.parts,
    ledger: {
      ...story.parts.ledger,
      endLeases: async (...args: Parameters<typeof story.parts.ledger.endLeases>) => {
        for (const lease of await story.parts.ledger.findLeases(args[0])) ended.push(lease.record.access)
        return await story.parts.ledger.endLeases(...args)
      },
    },
  }
  const match = { account: caller.principal.account }
  await story.parts.ledger.createRevocation({ id: 'rev_ranks', match, reason: 'r', actor: 'staff:olga', matched: 5 })
  await carryOut(parts, 'rev_ranks')
  expect(ended).toEqual(['deploy', 'write', 'read', 'read', 'read'])
})
