// What is alive at a provider with the ledger's knowledge, or may be by the time somebody looks again, is no orphan: to end it would
// cut off whoever holds it.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { abandonLease } from '../../../src/broker/failed-lease.js'
import { endOrphans } from '../../../src/broker/orphans.js'
import type { Parts } from '../../../src/broker/parts.js'
import { createId } from '../../../src/core/ids.js'
import type { Provider } from '../../../src/providers/provider.js'
import { aReservation } from '../../support/ledger.js'
import { type Story, startStory } from '../../support/story.js'
import { TestProvider } from '../../support/test-provider.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(() => {
  story.far.calm()
  story.far.deleteAll()
})

/** What a look at the one provider finds, its turn having come. */
async function found(name: string, over: Partial<Parts> = {}): Promise<number> {
  await story.at.raw.del(`${story.at.tag}turn:orphans:${name}`)
  const provider = over.providers?.get(name) ?? story.parts.providers.get(name)
  if (provider === undefined) throw new Error(`no provider ${name}`)
  return await endOrphans({ ...story.parts, ...over, providers: new Map([[name, provider]]) })
}

const leftBehind = async (name: string) => {
  await fetch(`${story.farUrl}/create?name=${name}&ends=${Date.now() + 600_000}`)
}

test('a standing copy that was released lives on', async () => {
  const { lease } = await story.bought({ action: 'copy.read', ttl_seconds: 60 })
  await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller' })
  expect((await story.finish(lease.id)).state).toBe('released')
  await leftBehind(lease.id)
  expect(await found('copies')).toBe(0)
  expect(story.far.alive()).toContain(lease.id)
})

test('what an operator abandoned lives on', async () => {
  const { lease } = await story.bought()
  await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller' })
  story.far.mood.revoke = 'refuses'
  const failed = await story.attempt(lease.id)
  expect((await abandonLease(story.parts, story.operator(), failed, 'deleted by hand')).state).toBe('abandoned')
  story.far.calm()
  expect(await found('far')).toBe(0)
  expect(story.far.alive()).toEqual([lease.id])
})

test.each([
  ['is dead by the time it is asked for', 'works'],
  ['cannot be asked for now', 'fails'],
] as const)('what ended here while the list was read, and %s, is not said to be left over', async (_how, mood) => {
  const { lease } = await story.bought()
  await story.parts.ledger.endLeases([lease.id], { reason: 'released', actor: 'caller' })
  await story.finish(lease.id)
  await leftBehind(lease.id)
  story.far.mood.probe = mood
  // It dies between the list and the question.
  story.far.during.probe = async () => story.far.deleteAll()
  expect(await found('far')).toBe(0)
  expect((await story.records('orphan.found')).filter((one) => one.lease === lease.id)).toEqual([])
})

test('what a provider may still be minting, by its own time-out, is left alone', async () => {
  const lease = createId('lease', Date.now() - 60_000)
  await leftBehind(lease)
  const slow = new TestProvider({ name: 'far', url: story.farUrl, timeoutSeconds: 600 })
  expect(await found('far', { providers: new Map<string, Provider>([['far', slow]]) })).toBe(0)
  expect(story.far.alive()).toEqual([lease])
  expect(await found('far')).toBe(1)
})

test('what a replay brings back before the ledger is sure again is known', async () => {
  const task = await story.task(story.caller())
  const lease = createId('lease', Date.now() - 60_000)
  await story.parts.ledger.reserve(await aReservation(story.parts.ledger, task, { mark: { name: lease } }, { lease }))
  await leftBehind(lease)
  const [key, away] = [`${story.at.tag}l:${lease}`, `${story.at.tag}away`]
  await story.at.raw.rename(key, away)
  let asked = false
  const ledger: Parts['ledger'] = {
    ...story.parts.ledger,
    async checkSure() {
      asked = true
      await story.at.raw.rename(away, key)
      await story.parts.ledger.checkSure()
    },
  }
  expect(await found('far', { ledger })).toBe(0)
  expect(asked).toBe(true)
  expect(story.far.alive()).toEqual([lease])
})
