// Redis loses its memory between a reservation and its activation: what was minted is nobody's, and stays so.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { AuditProjection } from '../../../src/broker/audit-projection.js'
import { replay } from '../../../src/broker/replay.js'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { createRestoration } from '../../../src/ledger/restoration.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  // What happens while the provider is minting takes its time on a busy machine.
  story = await startStory({ provider: { timeoutSeconds: 20 } })
})
afterAll(async () => {
  await story.close()
})

/** Everything of this ledger but its name, as after FLUSHALL and `recover` before the records are read. */
async function forget(): Promise<void> {
  const { raw, tag } = story.at
  const kept = [`${tag}incarnation`, `${tag}swept`]
  const keys = (await raw.keys(`${tag}*`)).filter((key) => !kept.includes(key))
  if (keys.length > 0) await raw.del(...keys)
}

test('a credential that was not handed out does not come back as alive; one that was does', async () => {
  const shown = await story.bought()
  const caller = story.caller()
  const task = await story.task(caller)
  story.far.during.secret = forget
  expect(await codeOf(story.buy(caller, task))).toBe('provider_unavailable')
  story.far.calm()
  const minted = story.far.alive().filter((lease) => lease !== shown.lease.id)
  expect(minted).toHaveLength(1)

  const redis = connectFailFast(story.redis, () => undefined)
  await untilReady(redis, 30_000)
  const projection = new AuditProjection()
  for (const record of await story.records()) projection.apply(record as unknown as StoredRecord)
  const parts = { ledger: story.parts.ledger, restoration: createRestoration(redis, story.redis.prefix) }
  await replay(parts, projection, { memoryMs: 86_400_000, complete: true })
  redis.disconnect()

  const [lost = ''] = minted
  expect(await story.lease(lost)).toMatchObject({ state: 'revoking', endReason: 'mint_failed' })
  expect(await story.finish(lost)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
  expect(story.far.alive()).toEqual([shown.lease.id])
  expect((await story.lease(shown.lease.id)).state).toBe('active')
})
