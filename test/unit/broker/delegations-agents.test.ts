// A sub-agent of one's own: what its token opens and says, and what it is no good for.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { authenticateDelegation } from '../../../src/broker/delegation-token.js'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import { isOwn } from '../../../src/broker/task-access.js'
import { createTaskToken } from '../../../src/broker/task-token.js'
import { anAgent, aPair, handOver, openChild, read, toDelegate } from '../../support/chain.js'
import { asking, codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ limits: '{ account: { requests_per_minute: 100000 }, task: { depth: 2 } }' })
})
afterAll(async () => {
  await story.close()
})

describe("a sub-agent's token", () => {
  test('opens one task, judged as its parent under the ceiling, and says who acts', async () => {
    const boss = story.caller(undefined, { binding: 'dpop', attributes: { ref: 'main' } })
    const { agent, delegation } = await anAgent(story, boss, await story.task(boss))
    expect(agent.principal).toMatchObject({
      id: boss.principal.id,
      attributes: { ref: 'main' },
      binding: 'none',
      delegation: delegation.id,
      agent: 'reviewer',
    })
    const { task } = await openChild(story, agent, undefined)
    expect(task).toMatchObject({ agent: 'reviewer', delegation: delegation.id, principal: boss.principal.id })
    const minted = await story.buy(agent, task, { action: 'token.read', resource: read.resource }).catch(codeOfError)
    expect(minted).toBe('denied')
    expect((await story.buy(agent, task, read)).lease.state).toBe('active')
    expect(await codeOf(openChild(story, agent, undefined))).toBe('already_issued')
  })

  test('has no hand in its parent, a sibling or a delegation', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    const [first, second] = [await anAgent(story, boss, parent), await anAgent(story, boss, parent)]
    const { task: one } = await openChild(story, first.agent, undefined)
    const { task: two } = await openChild(story, second.agent, undefined)
    for (const task of [parent, two]) {
      expect(isOwn(task, first.agent.principal)).toBe(false)
      expect(await codeOf(story.buy(first.agent, task, read))).toBe('not_found')
    }
    expect(await codeOf(handOver(story, first.agent, one, { agent: 'b' }, [read]))).toBe('not_permitted')
    const { delegation } = await handOver(story, boss, parent, toDelegate(boss), [read])
    expect(await codeOf(openChild(story, first.agent, delegation.id))).toBe('not_found')
  })

  test('is good for nothing once the issuer of its parent is gone, nor is any task below', async () => {
    const boss = story.caller()
    const { agent, token } = await anAgent(story, boss, await story.task(boss))
    const { task } = await openChild(story, agent, undefined)
    const rules = { ...story.parts.rules(), isWorkloadIssuer: () => false }
    const parts = { ...story.parts, rules: () => rules }
    expect(await codeOf(authenticateDelegation(parts, token))).toBe('invalid_token')
    const seen = story.far.seen.length
    expect(await codeOf(exchange(parts, agent, task.id, asking(read), null))).toBe('not_permitted')
    expect(story.far.seen).toHaveLength(seen)
  })

  test('ends with its time; a task token, or one of ours for something else, is none', async () => {
    const boss = story.caller()
    const parent = await story.task(boss)
    const { token } = await handOver(story, boss, parent, { agent: 'brief' }, [read], 1)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    for (const none of [token ?? '', await createTaskToken(story.parts, parent), `${token}x`, 'a.b.c']) {
      expect(await codeOf(authenticateDelegation(story.parts, none))).toBe('invalid_token')
    }
  })
})

test('the chain stands in what is minted: who acts outermost, with the name of the sub-agent', async () => {
  const minted = { action: 'token.read', resource: read.resource }
  const { boss, helper, child } = await aPair(story, [minted])
  const { agent } = await anAgent(story, helper, child, [minted])
  const { credentials } = await openTask(
    story.parts,
    agent,
    { purpose: 'p', credentials: [{ ...minted, context: {} }] },
    null,
  )
  const [, payload = ''] = String(credentials[0]?.credential.token).split('.')
  const { act } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { act: unknown }
  const [bossId, helperId] = [boss.principal.id, helper.principal.id]
  expect(act).toEqual({ sub: helperId, agent: 'reviewer', act: { sub: helperId, act: { sub: bossId } } })
})

const codeOfError = (error: { code: string }) => error.code
