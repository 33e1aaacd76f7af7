// People who agree to what is asked further down a chain.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { setLock } from '../../../src/broker/set-lock.js'
import { answer, aPerson, ask, shipping, shipRules } from '../../support/approval-story.js'
import { handOver, openChild, read, toDelegate } from '../../support/chain.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(async () => {
  await story.close()
})

const ship = { action: 'ship.run', resource: read.resource }

async function aShippingPair() {
  const [boss, helper] = [story.caller(), story.caller()]
  const parent = await story.task(boss)
  const { delegation } = await handOver(story, boss, parent, toDelegate(helper), [ship])
  const { task: child } = await openChild(story, helper, delegation.id)
  return { boss, helper, parent, child }
}

test('one answer of each is enough for all hops, and buys one lease in that task', async () => {
  const { boss, helper, parent, child } = await aShippingPair()
  const { id, record } = await ask(story, helper, child)
  expect(record.bound).toMatchObject({
    chain: [child.id, parent.id],
    requirements: [{ group: 'release', count: 2 }],
  })
  expect(record.actors).toEqual([
    { task: child.id, principal: helper.principal.id },
    { task: parent.id, principal: boss.principal.id },
  ])
  await answer(story, id, aPerson('olga'))
  await answer(story, id, aPerson('rosa'))
  expect(await codeOf(story.buy(boss, parent, shipping({ approval_id: id })))).toBe('not_found')
  const { lease } = await story.buy(helper, child, shipping({ approval_id: id }))
  expect(lease).toMatchObject({ state: 'active', record: { above: [{ principal: boss.principal.id }] } })
  expect(await codeOf(story.buy(helper, child, shipping({ approval_id: id })))).toBe('already_issued')
})

test('while somebody above is locked nobody is asked, and nobody can agree', async () => {
  const { boss, helper, child } = await aShippingPair()
  const { id } = await ask(story, helper, child)
  const target = { principal: boss.principal.id }
  const { lock, carriedOut } = await setLock(story.parts, story.operator(), { target, reason: 'stolen' })
  await carriedOut
  const seen = story.far.seen.length
  expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('locked')
  expect(await codeOf(story.buy(helper, child, shipping({ context: { note: 'another' } })))).toBe('locked')
  expect(story.far.seen).toHaveLength(seen)
  await removeLock(story.parts, story.operator(), lock)
  expect(await answer(story, id, aPerson('olga'))).toMatchObject({ votes: [{ by: 'staff:olga' }] })
})

test('when the task above has ended they are told that it is over', async () => {
  const { helper, parent, child } = await aShippingPair()
  const { id } = await ask(story, helper, child)
  await story.endTask(parent)
  expect((await story.parts.ledger.findApproval(id))?.state).toBe('expired')
  expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('invalid_request')
})
