// What brokers really decided, for callers alone and for chains of tasks, replays from their audit to the same answers.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { replayDecisions } from '../../../src/admin/audit-replay.js'
import { simulateFolders } from '../../../src/admin/folder-simulation.js'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { readDecision } from '../../../src/broker/recorded-decision.js'
import { approved, shipPolicies, shipping, shipRules } from '../../support/approval-story.js'
import { anAgent, aPair, deploy, handOver, migrate, openChild, read, toDelegate, write } from '../../support/chain.js'
import { refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
  await story.parts.ledger.takeDue([], 1)
})
afterAll(() => story?.close())

const quiet = { note: () => undefined }

async function makeDecisions(): Promise<void> {
  const { boss, helper, parent, child } = await aPair(story, [read, write, deploy])
  await story.buy(helper, child, read)
  await story.buy(helper, child, write)
  await refusalOf(story.buy(helper, child, migrate))
  await story.buy(boss, parent, migrate)
  await refusalOf(story.buy(helper, child, deploy))
  const third = story.caller()
  const { delegation } = await handOver(story, helper, child, toDelegate(third), [write])
  const { task: grandchild } = await openChild(story, third, delegation.id)
  await story.buy(third, grandchild, { ...write, ttl_seconds: 400 })
  await refusalOf(story.buy(third, grandchild, read))
  const { agent } = await anAgent(story, boss, parent)
  const { task: ofAgent } = await openChild(story, agent, undefined)
  await story.buy(agent, ofAgent, read)
  await story.bought()
  const alone = story.caller()
  await refusalOf(story.buy(alone, await story.task(alone), { action: 'account.delete' }))
}

test('every decision is equal, ancestors and ceilings among them, and a candidate is held against the whole chain', async () => {
  await makeDecisions()
  const records = (await story.broker.records()) as StoredRecord[]
  const decisions = records.map(readDecision).filter((one) => one !== 'none')
  const count = decisions.length
  expect(count).toBeGreaterThan(9)
  expect(decisions.filter((one) => one !== 'unreadable' && (one.basis?.above.length ?? 0) === 2)).toHaveLength(2)
  const reasons = decisions.map((one) =>
    one === 'unreadable' || !('reason' in one.verdict) ? null : one.verdict.reason,
  )
  expect(reasons).toEqual(expect.arrayContaining(['outside_ceiling', 'forbidden', null]))
  const replay = await replayDecisions([story.parts.auditDirectory], {}, quiet)
  expect(replay).toMatchObject({ ok: true, decisions: count, equal: count, unequal: [], problems: [] })

  // Without what the first of the chain may, nobody below has it either.
  const root = decisions.find((one) => one !== 'unreadable' && one.basis?.above.length === 2)
  if (root === undefined || root === 'unreadable') throw new Error('no chain of three')
  const boss = root.basis?.above.at(-1)?.input.principal
  const policies = `@id("all-but-one") permit (principal in Issuer::"ci", action in [Action::"read", Action::"write"], resource) unless { principal == Workload::${JSON.stringify(boss?.id)} };`
  const candidate = await story.parts.rules().tryPolicies({ 'a.cedar': policies })
  const { groups } = await simulateFolders([story.parts.auditDirectory], { task: root.task ?? '' }, candidate, quiet)
  expect(groups.filter(({ kind }) => kind === 'loss')).toMatchObject([
    { principal: root.principal, action: 'repo.write', after: { effect: 'deny', reason: 'no_permit' } },
  ])
})

test('an approved request replays to what had to be approved, whoever approved it', async () => {
  const shop = await startStory({ load: shipRules() })
  try {
    const { caller, task, id } = await approved(shop)
    await shop.buy(caller, task, shipping({ approval_id: id }))
    const [reserved] = (await shop.records('lease.reserved')).slice(-1)
    expect(reserved?.decision).toMatchObject({ effect: 'permit', approvals: [{ group: 'release', count: 2 }] })
    const { ok, decisions, equal } = await replayDecisions([shop.parts.auditDirectory], {}, quiet)
    expect({ ok, decisions, equal }).toEqual({ ok: true, decisions: 2, equal: 2 })
    const policies = { 'a.cedar': shipPolicies.replace('@approval("release:2")', '@approval("release:1")') }
    const candidate = await shop.parts.rules().tryPolicies(policies)
    const simulated = await simulateFolders([shop.parts.auditDirectory], {}, candidate, quiet)
    expect(simulated).toMatchObject({ decisions: 2, changes: 2, groups: [{ kind: 'change', members: ['approvals'] }] })
  } finally {
    await shop.close()
  }
})
