// A credential that nobody could end is for everybody to see who looks whether all is well (I3).
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import { healthRoutes } from '../../../src/http/health.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(() => story?.close())

const condition = { audit: () => null, issuers: () => ({}), providers: () => ({}) }
async function readiness() {
  const { parts } = story
  // Whoever sweeps has done so just now.
  await parts.ledger.takeDue([], 1)
  const ready = healthRoutes(condition, '0').find(({ path }) => path === '/readyz')
  return await ready?.run({ parts } as never)
}

test('/readyz counts what failed by provider, stays ready, and forgets it when it ended', async () => {
  const bought = await story.bought()
  expect(JSON.stringify(await readiness())).not.toContain('failed_revocations')
  story.far.mood.revoke = 'refuses'
  const target = { lease: bought.lease.id }
  await forceRevoke(story.parts, story.operator(), { target, reason: 'r', dry_run: false })
  expect((await story.attempt(bought.lease.id)).state).toBe('failed')
  expect(await readiness()).toMatchObject({ status: 200, body: { ready: true, failed_revocations: { far: 1 } } })
  story.far.calm()
  await story.parts.ledger.retryLease(bought.lease.id)
  expect((await story.attempt(bought.lease.id)).state).toBe('revoked')
  expect(JSON.stringify(await readiness())).not.toContain('failed_revocations')
})
