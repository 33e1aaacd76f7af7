// A revocation that failed: tried again on an operator's word, or closed with a reason; no path drops it.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { abandonLease, retryLease } from '../../../src/broker/failed-lease.js'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import { holderId } from '../../../src/ledger/keys.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
})

async function aFailedLease() {
  const bought = await story.bought()
  story.far.mood.revoke = 'refuses'
  const target = { lease: bought.lease.id }
  const { id } = await forceRevoke(story.parts, story.operator(), { target, reason: 'r', dry_run: false })
  const lease = await story.attempt(bought.lease.id)
  expect(lease.state).toBe('failed')
  return { ...bought, failed: lease, order: id ?? '' }
}

const heldBy = async (account: string) => {
  const holder = { id: holderId('account', account), kind: 'account', windowMs: 0 } as const
  return (await story.parts.ledger.lookHolders([holder])).holders[0]?.activeLeases
}

test('a failed one is listed, and retried at once from the first attempt on', async () => {
  const { failed, order } = await aFailedLease()
  const list = await story.parts.ledger.scanLeases({ state: 'failed' }, [...story.parts.providers.keys()], null, 100)
  expect(list.leases.map(({ id }) => id)).toContain(failed.id)
  story.far.calm()
  const retried = await retryLease(story.parts, story.operator(), failed, 'the role is back')
  expect(retried).toMatchObject({ state: 'revoking', attempts: 0, receipt: null, forced: true })
  expect(await story.parts.ledger.findRevocation(order)).toMatchObject({ state: 'running', failed: 0 })
  expect(await story.attempt(failed.id)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
  expect(await story.parts.ledger.findRevocation(order)).toMatchObject({ state: 'done', done: 1, failed: 0 })
  expect(await story.recordsOf(failed.id)).toContainEqual(
    expect.objectContaining({ event: 'lease.retry_ordered', actor: 'staff:olga', reason: 'the role is back' }),
  )
})

test('a retry that fails again is failed again', async () => {
  const { failed } = await aFailedLease()
  await retryLease(story.parts, story.operator(), failed)
  expect((await story.attempt(failed.id)).state).toBe('failed')
})

test('an abandoned one is over, claims nothing, counts as held until its natural end, and says why for good', async () => {
  const { caller, failed, order } = await aFailedLease()
  const { account } = caller.principal
  const abandoned = await abandonLease(story.parts, story.operator(), failed, 'role deleted by hand')
  expect(abandoned).toMatchObject({
    state: 'abandoned',
    endReason: 'abandoned',
    endActor: 'staff:olga',
    receipt: { outcome: 'failed', evidence: 'none' },
  })
  expect(abandoned.endedAt).not.toBeNull()
  expect(await heldBy(account)).toBe(1)
  expect(await story.parts.ledger.findRevocation(order)).toMatchObject({ state: 'done', done: 1, failed: 0 })
  const records = await story.recordsOf(failed.id)
  expect(records).toContainEqual(
    expect.objectContaining({ event: 'lease.abandon_ordered', actor: 'staff:olga', reason: 'role deleted by hand' }),
  )
  expect(records.at(-1)).toMatchObject({ event: 'lease.ended', state: 'abandoned', receipt: { outcome: 'failed' } })
  // Nobody tries any more.
  story.far.calm()
  expect((await story.attempt(failed.id)).state).toBe('abandoned')
  await story.pass(failed.id, 61_000)
  await story.attempt(failed.id)
  expect(await heldBy(account)).toBe(0)
})

test('only a failed revocation is retried or abandoned', async () => {
  const { lease } = await story.bought()
  const operator = story.operator()
  expect(await codeOf(retryLease(story.parts, operator, lease))).toBe('invalid_request')
  expect(await codeOf(abandonLease(story.parts, operator, lease, 'r'))).toBe('invalid_request')
  expect((await story.lease(lease.id)).state).toBe('active')
  // Also where another operator was quicker.
  const { failed } = await aFailedLease()
  await retryLease(story.parts, operator, failed)
  expect(await codeOf(abandonLease(story.parts, operator, failed, 'r'))).toBe('invalid_request')
  expect((await story.lease(failed.id)).state).toBe('revoking')
})

test('without a record nothing is abandoned', async () => {
  const { failed } = await aFailedLease()
  story.broker.auditSwitch.isDown = () => true
  expect(await codeOf(abandonLease(story.parts, story.operator(), failed, 'r'))).toBe('audit_unavailable')
  expect((await story.lease(failed.id)).state).toBe('failed')
})

test('without a record one is retried all the same, and whoever ordered it is told', async () => {
  const { failed } = await aFailedLease()
  story.far.calm()
  story.broker.auditSwitch.isDown = () => true
  expect(await codeOf(retryLease(story.parts, story.operator(), failed))).toBe('audit_unavailable')
  expect(await story.attempt(failed.id)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
})
