// The operator's word on a change that waits, and what is shown of it before.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { applyChange, pendingChange } from '../../../src/broker/apply-change.js'
import { redecide } from '../../../src/broker/redecide.js'
import { simulate } from '../../../src/broker/simulate.js'
import {
  addPolicy,
  change,
  config,
  outcomeOf,
  removePolicy,
  stands,
  startChangeStory,
} from '../../support/rule-changes.js'
import { codeOf, type Story } from '../../support/story.js'

const noWrites = `@id("no-writes")
forbid (principal, action == Action::"repo.write", resource);`

let story: Story
beforeAll(async () => {
  story = await startChangeStory()
  await change(story, config('providers: {', 'policy_change: { brake_leases: 1, brake_percent: 0 }\nproviders: {'))
})
afterAll(() => story.close())

const apply = (hash: string) => applyChange(story.parts, story.operator(), { hash, reason: 'writes are frozen' })
const kept = async () => (await story.records('rules.change_applied')).length

describe('a change that waits', () => {
  test('shows what it would end, takes the word for it alone, and then ends it', async () => {
    const writing = [await story.bought({ action: 'repo.write' }), await story.bought({ action: 'repo.write' })]
    const reading = await story.bought()
    expect(await codeOf(apply(story.parts.rules().hash))).toBe('stale_rules')
    const before = story.parts.rules().hash
    expect(await change(story, addPolicy(noWrites))).toMatchObject({ outcome: 'waiting', doomed: 2 })

    const pending = await pendingChange(story.parts, null)
    expect(pending).toMatchObject({ change: { state: 'waiting', would_end: 2, live: 3, ended: 0 }, next_cursor: null })
    expect(pending.leases.map(({ lease }) => lease).sort()).toEqual(writing.map(({ lease }) => lease.id).sort())
    expect(pending.leases[0]).toMatchObject({ reason: 'forbidden', policies: ['no-writes'], action: 'repo.write' })

    expect(await codeOf(apply(before))).toBe('stale_rules')
    expect(await codeOf(apply('0'.repeat(64)))).toBe('stale_rules')
    expect(await kept()).toBe(0)
    expect(await outcomeOf(story, writing[0]?.lease.id ?? '')).toEqual(stands)

    const { policy, hash } = story.parts.rules()
    expect(await apply(policy.hash.slice(0, 12))).toMatchObject({ rules: hash, policy_set: policy.hash, would_end: 2 })
    expect(await story.records('rules.change_applied')).toMatchObject([
      { actor: 'staff:olga', reason: 'writes are frozen', rules: hash, doomed: 2 },
    ])
    expect(await codeOf(apply(hash))).toBe('stale_rules')
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 2 })
    expect((await pendingChange(story.parts, null)).leases).toEqual([])
    expect((await outcomeOf(story, reading.lease.id)).state).toBe('active')
    await change(story, removePolicy(noWrites))
  })

  test('is let through though the audit is down, and the operator is told', async () => {
    await story.bought({ action: 'repo.write' })
    await story.bought({ action: 'repo.write' })
    await change(story, addPolicy(noWrites))
    story.broker.auditSwitch.isDown = (record) => record.event === 'rules.change_applied'
    expect(await codeOf(apply(story.parts.rules().hash))).toBe('audit_unavailable')
    story.broker.auditSwitch.isDown = () => false
    expect(await redecide(story.parts)).toMatchObject({ outcome: 'done', ended: 2 })
    await change(story, removePolicy(noWrites))
  })

  test('ends though the audit is down', async () => {
    const { lease } = await story.bought({ action: 'repo.write' })
    story.broker.auditSwitch.isDown = () => true
    await change(story, addPolicy(noWrites))
    story.broker.auditSwitch.isDown = () => false
    expect(await story.lease(lease.id)).toMatchObject({ state: 'revoking', endReason: 'policy_changed' })
    await change(story, removePolicy(noWrites))
  })
})

describe('a candidate', () => {
  test('is held against what lives, and nothing ends', async () => {
    const [written, read] = [await story.bought({ action: 'repo.write' }), await story.bought()]
    const { readFile } = await import('node:fs/promises')
    const main = await readFile(story.broker.policyFile, 'utf8')
    const answer = await simulate(story.parts, story.operator(), {
      live: {},
      policies: { 'main.cedar': `${main}\n${noWrites}` },
    })
    expect(answer).toMatchObject({ next_cursor: null, would_end: expect.any(Array) })
    const would = 'would_end' in answer ? answer.would_end.map(({ lease, policies }) => [lease, policies]) : []
    expect(would).toContainEqual([written.lease.id, ['no-writes']])
    expect(would.map(([lease]) => lease)).not.toContain(read.lease.id)
    expect(await outcomeOf(story, written.lease.id)).toEqual(stands)
  })

  test('that would come after a change which waits: what that would end, it would end as well', async () => {
    const { readFile } = await import('node:fs/promises')
    const written = [await story.bought({ action: 'repo.write' }), await story.bought({ action: 'repo.write' })]
    expect(await change(story, addPolicy(noWrites))).toMatchObject({ outcome: 'waiting' })
    const waiting = await readFile(story.broker.policyFile, 'utf8')
    const answer = await simulate(story.parts, story.operator(), { live: {}, policies: { 'main.cedar': waiting } })
    const would = 'would_end' in answer ? answer.would_end.map(({ lease }) => lease) : []
    for (const { lease } of written) expect(would).toContain(lease.id)
    await change(story, removePolicy(noWrites))
  })
})
