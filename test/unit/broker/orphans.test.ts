// What lives at the provider and not in the ledger: found by the provider's list, ended, reported.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { endOrphans } from '../../../src/broker/orphans.js'
import { createId } from '../../../src/core/ids.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ provider: { timeoutSeconds: 20 } })
})
afterAll(async () => {
  await story.close()
})
beforeEach(async () => {
  story.far.calm()
  story.far.deleteAll()
  // Several providers of this stage list the same far side: one of them is enough, and its turn comes at once.
  for (const name of ['copies', 'fixed']) await story.parts.ledger.takeTurn(`orphans:${name}`, 600_000)
  await story.at.raw.del(`${story.at.tag}turn:orphans:far`)
})

const leftBehind = async (name: string) => {
  await fetch(`${story.farUrl}/create?name=${name}&ends=${Date.now() + 600_000}`)
  return name
}
const old = () => createId('lease', Date.now() - 60_000)
const reported = async (lease: string) => (await story.records('orphan.found')).filter((one) => one.lease === lease)

describe('a credential that is alive at the provider', () => {
  test('and unknown to the ledger is revoked and reported', async () => {
    const lease = await leftBehind(old())
    const known = await story.bought()
    expect(await endOrphans(story.parts)).toBe(1)
    expect(story.far.alive()).toEqual([known.lease.id])
    expect(await reported(lease)).toMatchObject([{ provider: 'far', outcome: 'revoked', actor: 'sweeper' }])
    expect(await story.parts.metrics.registry.metrics()).toContain(
      'hallpass_orphans_found_total{provider="far",outcome="revoked"} 1',
    )
  })

  test('and ended in the ledger is no less an orphan', async () => {
    const { lease, task } = await story.bought()
    await story.endTask(task)
    await story.finish(lease.id)
    await leftBehind(lease.id)
    expect(await endOrphans(story.parts)).toBe(1)
    expect(story.far.alive()).toEqual([])
    expect(await reported(lease.id)).toHaveLength(1)
  })

  test('but younger than a mint can take is left alone', async () => {
    const lease = await leftBehind(createId('lease', Date.now()))
    expect(await endOrphans(story.parts)).toBe(0)
    expect(story.far.alive()).toEqual([lease])
  })

  test('and does not carry our mark is not ours', async () => {
    await leftBehind('somebody-elses-role')
    expect(await endOrphans(story.parts)).toBe(0)
    expect(story.far.alive()).toEqual(['somebody-elses-role'])
  })

  test('and cannot be revoked now is reported as that, and tried at the next look', async () => {
    const lease = await leftBehind(old())
    story.far.mood.revoke = 'fails'
    expect(await endOrphans(story.parts)).toBe(1)
    expect(await reported(lease)).toMatchObject([{ outcome: 'failed' }])
    story.far.calm()
    expect(await endOrphans(story.parts)).toBe(0)
    await story.at.raw.del(`${story.at.tag}turn:orphans:far`)
    expect(await endOrphans(story.parts)).toBe(1)
    expect(story.far.alive()).toEqual([])
  })
})

test('many are compared page by page', async () => {
  for (let i = 0; i < 210; i++) await leftBehind(old())
  expect(await endOrphans(story.parts)).toBe(210)
  expect(story.far.alive()).toEqual([])
})

test('a ledger that lost its memory ends nothing: that is for recover', async () => {
  const lease = await leftBehind(old())
  const name = `${story.at.tag}incarnation`
  const incarnation = (await story.at.raw.get(name)) ?? ''
  await story.at.raw.del(name)
  expect(await endOrphans(story.parts)).toBe(0)
  await story.at.raw.set(name, incarnation)
  expect(story.far.alive()).toEqual([lease])
})

test('a provider whose list fails is no error of the sweep', async () => {
  story.far.mood.list = 'fails'
  expect(await endOrphans(story.parts)).toBe(0)
})
