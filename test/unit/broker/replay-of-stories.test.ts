// The stories' own records, written into a ledger that has nothing of them: what the stories say is enough.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { abandonLease, retryLease } from '../../../src/broker/failed-lease.js'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { reportEvents } from '../../../src/broker/report-events.js'
import { setLock } from '../../../src/broker/set-lock.js'
import { openTestLedger, type TestLedger } from '../../support/ledger.js'
import { replayInto } from '../../support/rebuilt-ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
let redis: TestRedis
let other: TestLedger
beforeAll(async () => {
  story = await startStory()
  redis = await startTestRedis()
  other = await openTestLedger(redis)
})
afterAll(async () => {
  await other?.close()
  await redis?.stop()
  await story?.close()
})

/** All that the stories recorded so far, in a ledger that was empty before the first time. */
const replayed = async () => await replayInto(redis, other.ledger, await story.records())

async function aFailedLease() {
  const { lease } = await story.bought()
  story.far.mood.revoke = 'refuses'
  await forceRevoke(story.parts, story.operator(), { target: { lease: lease.id }, reason: 'r', dry_run: false })
  const failed = await story.attempt(lease.id)
  story.far.calm()
  return failed
}

/** What both ledgers must say alike. */
async function expectAlike(lease: string): Promise<void> {
  const [was, is] = [await story.lease(lease), await other.ledger.findLease(lease)]
  expect(is).toMatchObject({
    state: was?.state,
    record: was?.record,
    expiresAt: was?.expiresAt,
    sealedHandle: was?.sealedHandle,
    providerRef: was?.providerRef,
    fingerprints: was?.fingerprints,
    endReason: was?.endReason,
    endActor: was?.endActor,
    receipt: was?.receipt && { outcome: was.receipt.outcome, evidence: was.receipt.evidence },
  })
}

test('leases that live, ended, failed, were retried and were abandoned are the same again', async () => {
  const { lease: live } = await story.bought()
  const failed = await aFailedLease()
  const abandoned = await aFailedLease()
  await abandonLease(story.parts, story.operator(), abandoned, 'role deleted by hand')
  const revoked = await aFailedLease()
  await retryLease(story.parts, story.operator(), revoked)
  await story.attempt(revoked.id)
  const retried = await aFailedLease()
  await retryLease(story.parts, story.operator(), retried)
  await replayed()
  for (const { id } of [live, failed, abandoned, revoked]) await expectAlike(id)
  expect(await other.ledger.findLease(retried.id)).toMatchObject({ state: 'revoking', attempts: 0, forced: true })
})

test('a lock stands with its reason, and a removed one does not', async () => {
  const order = { target: { account: 'ci:somebody' }, reason: 'laptop stolen' } as const
  const { lock: kept, carriedOut } = await setLock(story.parts, story.operator(), order)
  const { lock: removed, carriedOut: too } = await setLock(story.parts, story.operator(), order)
  await Promise.all([carriedOut, too])
  await removeLock(story.parts, story.operator(), removed)
  await replayed()
  expect(await other.ledger.findLock(kept.id)).toEqual(kept)
  expect(await other.ledger.findLock(removed.id)).toBeNull()
  expect(await other.ledger.findLockOn(['account=ci:somebody'])).toEqual(kept)
  expect(await other.raw.hget(`${other.tag}locked`, 'account=ci:somebody')).toBe('1')
})

test('a task that was pinned to a key is pinned to it again, and no other is pinned', async () => {
  const jkt = 'k'.repeat(43)
  const pinned = await story.task(story.caller(undefined, { jkt }))
  const free = await story.task(story.caller())
  await replayed()
  expect(await other.ledger.findTask(pinned.id)).toMatchObject({ principal: pinned.principal, jkt })
  expect(await other.ledger.findTask(free.id)).not.toHaveProperty('jkt')
})

test('how many events a task reported is counted on, and what was issued in it is known again', async () => {
  const { caller, task, credential } = await story.bought()
  const secret = String((credential as { secret?: unknown; token?: unknown }).secret ?? credential.token)
  const by = { actor: caller.principal.id, requestId: caller.requestId }
  const call = { type: 'tool_call', tool: 'x', outcome: 'ok' } as const
  await reportEvents(story.parts, by, task, [call, call, call])
  await replayed()
  const limit = story.parts.rules().limits.task.events
  expect(await other.ledger.countEvents(task.id, 1, limit)).toEqual({ outcome: 'ok', left: limit - 4 })
  const digests = story.parts.sealing.digestsOf(secret)
  expect([...(await other.ledger.findSecrets([task.id], () => ['unknown', ...digests]))]).toEqual(digests)
})
