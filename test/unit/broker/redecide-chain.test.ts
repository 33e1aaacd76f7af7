// Changed rules and leases that rest on more than their caller: everybody above, what they handed down, and who approved.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { redecide } from '../../../src/broker/redecide.js'
import { answer, aPerson, ask, shipping, shipRules } from '../../support/approval-story.js'
import { aPair, deploy, handOver, openChild, read, toDelegate } from '../../support/chain.js'
import {
  addPolicy,
  change,
  config,
  ended,
  load,
  outcomeOf,
  replacing,
  stands,
  startChangeStory,
} from '../../support/rule-changes.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
let ships: Story
beforeAll(async () => {
  story = await startStory()
  await load(story, {})
  await redecide(story.parts)
  ships = await startStory({ load: shipRules() })
  await change(ships, {})
})
afterAll(async () => {
  await story?.close()
  await ships?.close()
})

describe('a lease below another’s task', () => {
  test('ends when who stands above may not any more, and names whose place it was', async () => {
    const { boss, helper, child } = await aPair(story)
    const { lease } = await story.buy(helper, child, deploy)
    const alone = await story.bought(deploy)
    const noBoss = `@id("not-the-boss")
forbid (principal == Workload::"${boss.principal.id}", action == Action::"deploy.run", resource);`
    expect(await change(story, addPolicy(noBoss))).toMatchObject({ ended: 1 })
    expect(await outcomeOf(story, lease.id)).toEqual(ended('forbidden', ['not-the-boss']))
    const said = (await story.recordsOf(lease.id)).find(({ event }) => event === 'lease.redecided')
    expect(said).toMatchObject({ judged: boss.principal.id, principal: helper.principal.id })
    expect(await outcomeOf(story, alone.lease.id)).toEqual(stands)
  })

  test('ends when their issuer would not vouch any more for who stands above', async () => {
    const at = await startChangeStory()
    try {
      const [boss, helper] = ['dev', 'main'].map((ref) => at.caller(undefined, { attributes: { ref } }))
      if (boss === undefined || helper === undefined) throw new Error('nobody')
      const parent = await at.task(boss)
      const { delegation } = await handOver(at, boss, parent, toDelegate(helper))
      const { task: child } = await openChild(at, helper, delegation.id)
      const { lease } = await at.buy(helper, child, read)
      await change(at, config('type: string } } }', 'type: string } }, require: { ref: main } }'))
      expect(await outcomeOf(at, lease.id)).toEqual(ended('issuer_require'))
      const said = (await at.recordsOf(lease.id)).find(({ event }) => event === 'lease.redecided')
      expect(said).toMatchObject({ judged: boss.principal.id, principal: helper.principal.id })
    } finally {
      await at.close()
    }
  })

  test('does not count itself at either place', async () => {
    const { helper, child } = await aPair(story)
    const { lease } = await story.buy(helper, child, deploy)
    await change(
      story,
      addPolicy('@id("other") forbid (principal == Workload::"ci:x", action == Action::"repo.read", resource);'),
    )
    expect(await outcomeOf(story, lease.id)).toEqual(stands)
  })
})

describe('a lease that people approved', () => {
  test('stands while the same is asked for, and ends when more have to agree', async () => {
    const caller = ships.caller()
    const task = await ships.task(caller)
    const { id } = await ask(ships, caller, task)
    await answer(ships, id, aPerson('olga'))
    await answer(ships, id, aPerson('rosa'))
    const { lease } = await ships.buy(caller, task, shipping({ approval_id: id }))
    expect((await ships.lease(lease.id)).record.approval).toMatchObject({ policy: 'ship' })
    const other = '@id("other") forbid (principal == Workload::"ci:x", action == Action::"ship.run", resource);'
    await change(ships, addPolicy(other))
    expect(await outcomeOf(ships, lease.id)).toEqual(stands)
    await change(ships, { policies: replacing('release:2', 'release:1') })
    expect(await outcomeOf(ships, lease.id)).toEqual(stands)
    await change(ships, {
      policies: replacing('@id("ship") @approval("release:1")', '@id("ship") @approval("release:3")'),
    })
    expect(await outcomeOf(ships, lease.id)).toEqual(ended('approval_required', ['ship']))
  })
})
