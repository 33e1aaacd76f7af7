// What still counts as held, and what always counts as granted, after a release (I8): only a receipt that says dead makes
// room, and never for what forbids having had both.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { exchange } from '../../../src/broker/exchange.js'
import { abandonLease } from '../../../src/broker/failed-lease.js'
import type { Parts } from '../../../src/broker/parts.js'
import type { Lease } from '../../../src/ledger/lease.js'
import type { TestLedger } from '../../support/ledger.js'
import { underPolicies } from '../../support/other-policies.js'
import { inAnotherLedger } from '../../support/rebuilt-ledger.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
/** Nobody holds a write beside a read, by action, access class and resource, in session and account. */
let parts: Parts
beforeAll(async () => {
  story = await startStory({ limits: '{ account: { memory: 2h, requests_per_minute: 100000 } }' })
  parts = await underPolicies(
    story.parts,
    `@id("may") permit (principal, action in [Action::"read", Action::"write"], resource is Repo);
     @id("not-beside-a-read") forbid (principal, action == Action::"repo.write", resource)
     when { context.account.holding_access.contains("read") };
     @id("not-beside-the-resource") forbid (principal, action == Action::"token.read", resource)
     when { context.session.holding_resources.contains("repo:acme/web") };
     @id("not-after-a-read") forbid (principal, action == Action::"repo.write", resource == Repo::"repo:acme/guarded")
     when { context.session.granted_access.contains("read") || context.account.granted_resources.contains("repo:acme/web") };`,
  )
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => story.far.calm())

const write = { action: 'repo.write', resource: 'repo:acme/api' }
const guarded = { action: 'repo.write', resource: 'repo:acme/guarded' }

/** A credential of this action, whose release was asked for and tried once. */
async function released(action: string, mood: 'works' | 'fails' | 'refuses' = 'works') {
  const caller = story.caller()
  const [one, two] = [await story.task(caller), await story.task(caller)]
  const { lease } = await exchange(parts, caller, one.id, asking({ action }), null)
  story.far.mood.revoke = mood
  await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller' })
  const tried = await story.attempt(lease.id)
  story.far.calm()
  const inOtherTask = (over: Parameters<typeof asking>[0]) => exchange(parts, caller, two.id, asking(over), null)
  return { caller, task: one, lease: tried, inOtherTask }
}

type Released = Awaited<ReturnType<typeof released>>

async function expectHeld({ inOtherTask }: Released): Promise<void> {
  expect(await refusalOf(inOtherTask(write))).toMatchObject({
    code: 'denied',
    members: { reason: 'forbidden', decision: { policies: ['not-beside-a-read'] } },
  })
  expect(await refusalOf(inOtherTask({ action: 'token.read' }))).toMatchObject({
    members: { decision: { policies: ['not-beside-the-resource'] } },
  })
}

async function expectOver(bought: Released): Promise<void> {
  await bought.inOtherTask(write)
  await expectGranted(bought)
}

/** For what was granted no receipt makes room. */
async function expectGranted({ inOtherTask }: Released): Promise<void> {
  expect(await refusalOf(inOtherTask(guarded))).toMatchObject({
    code: 'denied',
    members: { decision: { policies: ['not-after-a-read'] } },
  })
}

const receiptOf = (lease: Lease) => [lease.state, lease.receipt?.outcome]

describe('a release makes room', () => {
  test('when its receipt says dead', async () => {
    const bought = await released('repo.read')
    expect(receiptOf(bought.lease)).toEqual(['revoked', 'confirmed'])
    await expectOver(bought)
  })

  test('not while it is pending', async () => {
    const bought = await released('repo.read', 'fails')
    expect(receiptOf(bought.lease)).toEqual(['revoking', 'pending'])
    await expectHeld(bought)
    await story.finish(bought.lease.id)
    await expectOver(bought)
  })

  test('not while it failed, nor when an operator abandons it, before its natural end', async () => {
    const bought = await released('repo.read', 'refuses')
    expect(receiptOf(bought.lease)).toEqual(['failed', 'failed'])
    await expectHeld(bought)
    await abandonLease(story.parts, story.operator(), bought.lease, 'the role is gone')
    await expectHeld(bought)
    await story.pass(bought.lease.id, 61_000)
    await story.attempt(bought.lease.id)
    await expectOver(bought)
  })

  test.each(['fixed.read', 'copy.read'])('not before its end of %s, which cannot be revoked', async (action) => {
    const bought = await released(action)
    expect(receiptOf(bought.lease)).toEqual(
      action === 'fixed.read' ? ['revoking', 'expires_at'] : ['released', 'not_revocable'],
    )
    await expectHeld(bought)
    await story.pass(bought.lease.id, 61_000)
    story.far.deleteAll()
    await story.attempt(bought.lease.id)
    await expectOver(bought)
  })
})

test('the account remembers as long as limits.account.memory says, over instances; the session its own alone', async () => {
  const one = story.caller('remembered', { instance: 'run-1' })
  const task = await story.task(one)
  expect(task.holders.map(({ kind, windowMs }) => [kind, windowMs])).toEqual([
    ['account', 7_200_000],
    ['session', 0],
  ])
  const { lease } = await exchange(parts, one, task.id, asking(), null)
  await story.endTask(task)
  await story.finish(lease.id)
  const two = story.caller('remembered', { instance: 'run-2' })
  const next = await story.task(two)
  // By what the account was granted: this session was granted nothing.
  expect(await codeOf(exchange(parts, two, next.id, asking(guarded), null))).toBe('denied')
  const key = `${story.at.tag}h:${task.holders[0]?.id}:g`
  for (const member of await story.at.raw.zrange(key, '0', '-1')) await story.at.raw.zincrby(key, -7_200_001, member)
  await exchange(parts, two, next.id, asking(guarded), null)
})

test('after the ledger was lost and written again from the audit, the same is held and was granted', async () => {
  const failed = await released('repo.read', 'refuses')
  const all = [
    await released('repo.read'),
    await released('repo.read', 'fails'),
    await released('fixed.read'),
    await released('copy.read'),
    failed,
  ]
  const abandoned = await released('repo.read', 'refuses')
  await abandonLease(story.parts, story.operator(), abandoned.lease, 'the role is gone')
  all.push(abandoned)
  const look = async (other: TestLedger) => {
    for (const { task } of all) {
      const [was, is] = await Promise.all(
        [story.parts.ledger, other.ledger].map((one) => one.lookHolders(task.holders)),
      )
      const seen = (look: typeof was) => look?.holders.map(({ version: _, ...rest }) => rest)
      expect(seen(is)?.map(({ grantedBy: _, ...rest }) => rest)).toEqual(
        seen(was)?.map(({ grantedBy: _, ...rest }) => rest),
      )
      expect(is?.holders[1]?.grantedBy).toEqual(was?.holders[1]?.grantedBy)
    }
  }
  await inAnotherLedger([await story.records()], look, { memoryMs: 7_200_000 })
})
