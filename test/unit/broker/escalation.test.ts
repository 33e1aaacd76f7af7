// More than the session had before is a new decision, seen as such, and names the lease that it goes beyond (I9).
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Exchanged, exchange } from '../../../src/broker/exchange.js'
import { escalationOf } from '../../../src/broker/holders.js'
import type { Caller, Parts } from '../../../src/broker/parts.js'
import { leaseView } from '../../../src/broker/views.js'
import { BrokerError } from '../../../src/core/errors.js'
import type { HolderLook } from '../../../src/ledger/way-out.js'
import { underPolicies } from '../../support/other-policies.js'
import { inAnotherLedger } from '../../support/rebuilt-ledger.js'
import { asking, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})

async function decisionOf(lease: string) {
  const [reserved] = await story.recordsOf(lease)
  return reserved?.decision as { input: { escalation: boolean } } | undefined
}

describe('goes beyond', () => {
  test('the lease by which the session had the highest class, or the longest lifetime: not the one before', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const long = await story.buy(caller, task, { ttl_seconds: 60 })
    const write = await story.buy(caller, task, { action: 'repo.write', ttl_seconds: 30 })
    await story.buy(caller, task, { ttl_seconds: 20 })
    const longer = await story.buy(caller, task, { ttl_seconds: 90 })
    const deploy = await story.buy(caller, task, { action: 'deploy.run', ttl_seconds: 10 })
    expect([write, longer, deploy].map(({ lease }) => lease.record.follows)).toEqual([
      long.lease.id,
      long.lease.id,
      write.lease.id,
    ])
    expect(leaseView(deploy.lease)).toMatchObject({ follows: write.lease.id })
    expect(await decisionOf(deploy.lease.id)).toMatchObject({ input: { escalation: true } })
    // Below all of it: an own decision like any other, and no escalation.
    const less = await story.buy(caller, task, { ttl_seconds: 90 })
    expect(leaseView(less.lease)).toMatchObject({ follows: null })
    expect(await decisionOf(less.lease.id)).toMatchObject({ input: { escalation: false } })
  })

  test('no lease that was never minted', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const first = await story.buy(caller, task, { action: 'token.read' })
    story.far.mood.create = 'fails'
    expect((await refusalOf(story.buy(caller, task))).code).toBe('provider_failed')
    story.far.calm()
    const leases = await story.parts.ledger.findLeases(await story.parts.ledger.leasesOfTask(task.id))
    for (const { id } of leases) if (id !== first.lease.id) await story.finish(id)
    const beyond = await story.buy(caller, task, { action: 'repo.write' })
    expect(beyond.lease.record.follows).toBe(first.lease.id)
  })

  test('the same lease after the ledger was lost and written again from the audit', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const write = await story.buy(caller, task, { action: 'repo.write', ttl_seconds: 40 })
    const read = await story.buy(caller, task, { ttl_seconds: 40 })
    await story.endTask(await story.task(caller))
    await story.parts.ledger.endLeases([read.lease.id], { reason: 'released', actor: 'a' })
    await story.finish(read.lease.id)
    await inAnotherLedger([await story.records()], async (other) => {
      const [was, is] = await Promise.all(
        [story.parts.ledger, other.ledger].map((one) => one.lookHolders(task.holders)),
      )
      const seen = (holders: readonly HolderLook[] | undefined) =>
        holders?.map(
          ({ holding, holdingAccess, holdingResources, granted, grantedAccess, grantedResources, grantedTtls }) => [
            ...[holding, holdingAccess, holdingResources, granted, grantedAccess, grantedResources, grantedTtls],
          ],
        )
      expect(seen(is?.holders)).toEqual(seen(was?.holders))
      const resource = { id: 'repo:acme/web', type: 'repo', attributes: { sensitivity: 'low' } }
      const sought = { access: 'deploy', resource, ttlSeconds: 1 } as const
      expect(escalationOf(is?.holders ?? [], sought)).toEqual({ follows: write.lease.id })
      expect(escalationOf(was?.holders ?? [], sought)).toEqual({ follows: write.lease.id })
    })
  })
})

const readAndWrite = 'action in [Action::"read", Action::"write"]'

describe('under policies', () => {
  const buy = async (parts: Parts, caller: Caller, over: Parameters<typeof asking>[0]): Promise<Exchanged> =>
    await exchange(parts, caller, (await story.task(caller)).id, asking(over), null)

  test('that forbid it the session keeps what it may have, and gets no more', async () => {
    const parts = await underPolicies(
      story.parts,
      `@id("may") permit (principal, ${readAndWrite}, resource is Repo);
      @id("no-more") forbid (principal, ${readAndWrite}, resource) when { context.escalation };`,
    )
    const caller = story.caller()
    await buy(parts, caller, { ttl_seconds: 30 })
    await buy(parts, caller, { ttl_seconds: 30 })
    for (const more of [
      { action: 'repo.write', ttl_seconds: 30 },
      { ttl_seconds: 31 },
      { resource: 'repo:acme/api', ttl_seconds: 30 },
    ]) {
      expect(await refusalOf(buy(parts, caller, more))).toMatchObject({
        code: 'denied',
        members: { reason: 'forbidden', decision: { policies: ['no-more'] } },
      })
    }
    await buy(parts, caller, { ttl_seconds: 30 })
  })

  test('that want approval for it: for the escalation alone', async () => {
    const parts = await underPolicies(
      story.parts,
      `@id("may") permit (principal, ${readAndWrite}, resource is Repo) when { !context.escalation };
      @id("asked") @approval("approvers:1") permit (principal, ${readAndWrite}, resource is Repo) when { context.escalation };`,
    )
    const caller = story.caller()
    await buy(parts, caller, { ttl_seconds: 30 })
    const answer = await buy(parts, caller, { action: 'repo.write', ttl_seconds: 30 }).then(
      () => 'issued',
      (error: unknown) => (error instanceof BrokerError ? error.code : String(error)),
    )
    expect(answer).not.toBe('issued')
    await buy(parts, caller, { ttl_seconds: 20 })
  })

  test('that narrow the lifetime: what was given counts, not what was asked for', async () => {
    const parts = await underPolicies(
      story.parts,
      `@id("may") @max_ttl("20s") permit (principal, action == Action::"repo.read", resource is Repo);
      @id("wide") permit (principal, action == Action::"offline.read", resource is Repo);
      @id("wide-too") permit (principal, action == Action::"token.read", resource is Repo);`,
    )
    const caller = story.caller()
    const narrowed = await buy(parts, caller, { ttl_seconds: 300 })
    expect(narrowed.lease.record.ttl).toBe(20)
    // The same again is no escalation, however much it asks for: it is given no more than before.
    const again = await buy(parts, caller, { ttl_seconds: 300 })
    expect(await decisionOf(again.lease.id)).toMatchObject({ input: { escalation: false } })
    const longer = await buy(parts, caller, { action: 'token.read', ttl_seconds: 300 })
    expect(await decisionOf(longer.lease.id)).toMatchObject({ input: { escalation: true } })
    expect(longer.lease.record.follows).toBe(again.lease.id)
  })

  test('a lifetime cut short by the end of the task counts by the minute', async () => {
    const caller = story.caller()
    const short = await story.buy(caller, await story.task(caller, 50), { ttl_seconds: 300 })
    expect(short.lease.record.ttl).toBe(60)
    const minute = await story.buy(caller, await story.task(caller), { ttl_seconds: 60 })
    const longer = await story.buy(caller, await story.task(caller), { ttl_seconds: 61 })
    expect([minute, longer].map(({ lease }) => lease.record.follows)).toEqual([undefined, minute.lease.id])
  })
})

test('no lease is ever widened or extended, whatever is asked for after it', async () => {
  const actions = ['token.read', 'repo.write', 'deploy.run'] as const
  const step = fc.record({
    action: fc.constantFrom(...actions),
    resource: fc.constantFrom('repo:acme/web', 'repo:acme/api'),
    ttl_seconds: fc.integer({ min: 30, max: 115 }),
    isReleased: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
      const caller = story.caller()
      const task = await story.task(caller)
      const known = new Map<string, Record<string, string>>()
      for (const { isReleased, ...wanted } of steps) {
        const bought = await story.buy(caller, task, wanted).catch((error: unknown) => {
          if (error instanceof BrokerError && error.code === 'denied') return null
          throw error
        })
        if (bought === null) continue
        known.set(bought.lease.id, await asStored(bought.lease.id))
        if (isReleased) {
          await story.parts.ledger.endLeases([bought.lease.id], { reason: 'released', actor: 'caller' })
          await story.finish(bought.lease.id)
        }
      }
      for (const [lease, before] of known) expect(await asStored(lease)).toEqual(before)
    }),
    { numRuns: 15 },
  )
}, 120_000)

/** What of a lease in Redis never changes once it is active: its record (action, resource, follows, …), its end, its handle. */
async function asStored(lease: string): Promise<Record<string, string>> {
  const {
    rec = '',
    expires = '',
    issued = '',
    handle = '',
    out = '',
  } = await story.at.raw.hgetall(`${story.at.tag}l:${lease}`)
  return { rec, expires, issued, handle, out }
}
