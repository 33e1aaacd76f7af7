// The rules change while a request is under way: it is what the rules in force at its reservation make of it, whole.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { exchange } from '../../../src/broker/exchange.js'
import type { Parts } from '../../../src/broker/parts.js'
import { addPolicy, config, removePolicy } from '../../support/rule-changes.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'
import type { RulesEdit } from '../../support/story-config.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(() => story.close())

/** The same program, in which an operator's change is loaded right after the next look at the ledger. */
function changingAfterLook(edit: RulesEdit): Parts {
  let changed = false
  return {
    ...story.parts,
    ledger: {
      ...story.parts.ledger,
      look: async (...asked: Parameters<Parts['ledger']['look']>) => {
        const look = await story.parts.ledger.look(...asked)
        if (!changed) await story.broker.changeRules(edit)
        changed = true
        return look
      },
    },
  }
}

const recipe = 'provider: far, ttl: { default: 60s, max: 10m }'
const repoRead = `repo.read: { access: read, resource: repo, ${recipe}`

test('what a grant requires from now on holds for a request that came just before', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const parts = changingAfterLook(config(repoRead, `${repoRead}, require: { max_ttl: 30s }`))
  const { lease } = await exchange(parts, caller, task.id, asking(), null)
  expect(lease.record.ttl).toBe(30)
  expect(lease.expiresAt - (lease.issuedAt ?? 0)).toBeLessThanOrEqual(30_000)
  await story.broker.changeRules(config(`${repoRead}, require: { max_ttl: 30s }`, repoRead))
})

test('a grant that is gone by then gives nothing, and nothing is reserved', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const parts = changingAfterLook(config('  copy.read:', '  copy.seen:'))
  expect(await codeOf(exchange(parts, caller, task.id, asking({ action: 'copy.read' }), null))).toBe('unknown_action')
  expect(await story.parts.ledger.leasesOfTask(task.id)).toEqual([])
})

test('what was bought with a key is said, not decided again by rules that would deny it now', async () => {
  const caller = story.caller()
  const task = await story.task(caller)
  const key = { key: 'before-the-change', bodySha256: 'a'.repeat(64) }
  const { lease } = await story.buy(caller, task, {}, key)
  const closed = '@id("closed") forbid (principal, action == Action::"repo.read", resource);'
  await story.broker.changeRules(addPolicy(closed))
  try {
    const again = await refusalOf(story.buy(caller, task, {}, key))
    expect(again).toMatchObject({ code: 'already_issued', members: { lease: { id: lease.id } } })
    expect(await codeOf(story.buy(caller, task, {}, { ...key, key: 'after' }))).toBe('denied')
  } finally {
    await story.broker.changeRules(removePolicy(closed))
  }
})
