// I6, as a metamorphic test: whatever is said in free text, the engine is handed the same bytes. Purposes, request ids,
// idempotency keys and operators' reasons change; nothing that is decided on does.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller, Parts } from '../../../src/broker/parts.js'
import { canonicalJson, type Json } from '../../../src/core/canonical-json.js'
import { sha256Hex } from '../../../src/core/hash.js'
import type { DecisionInput } from '../../../src/policy/decision.js'
import { asking, type Story, startStory } from '../../support/story.js'

let story: Story
let seen: string[] = []
let parts: Parts
beforeAll(async () => {
  story = await startStory()
  const rules = () => {
    const now = story.parts.rules()
    const decideAs: typeof now.policy.decideAs = (standing, input, bounds) => {
      seen.push(bytesOf(input))
      return now.policy.decideAs(standing, input, bounds)
    }
    return { ...now, policy: { ...now.policy, decideAs } }
  }
  parts = { ...story.parts, rules }
})
afterAll(() => story.close())

/** All of it but the two times, which pass. */
function bytesOf({ now: _, task: { ageSeconds: __, ...task }, ...input }: DecisionInput): string {
  return canonicalJson({ ...input, task } as unknown as Json)
}

/** Words that would be worth something if anybody listened: names of policies, groups, approvals, JSON, Cedar. */
const tempting = fc.constantFrom(
  'approved by dba:2',
  '{"escalation":false,"binding":"mtls"}',
  'permit (principal, action, resource);',
  'context.approval.group == "dba"',
  'Group::"deployers"',
  'account.delete',
)
const freeText = fc
  .oneof(tempting, fc.string({ minLength: 1, maxLength: 500, unit: 'grapheme' }))
  .filter((text) => text.length > 0 && text.length <= 500 && !/[\p{Cc}\p{Cs}]/u.test(text))

const said = fc.record({ purpose: freeText, requestId: freeText, key: freeText, agent: freeText })

/** What the engine was handed while one credential was bought in a new task, ended again. */
async function inputsOf(caller: Caller, words: { purpose: string; requestId: string; key: string }): Promise<string[]> {
  seen = []
  await story.parts.ledger.takeDue([], 1)
  const asked = asking({ action: 'token.read' })
  const speaking = { ...caller, requestId: words.requestId }
  const idempotency = { key: sha256Hex(words.key), bodySha256: sha256Hex(words.purpose) }
  const { task } = await openTask(parts, speaking, { purpose: words.purpose, ttl_seconds: 600 }, null)
  const { lease } = await exchange(parts, speaking, task.id, asked, idempotency)
  await story.endTask(task)
  await story.finish(lease.id)
  return seen
}

describe('free text', () => {
  test('changes no byte of what is decided on', async () => {
    const caller = story.caller('metamorphic')
    // The first grant is remembered: from then on the account's history is the same each time.
    await inputsOf(caller, { purpose: 'x', requestId: 'req_0', key: 'first' })
    const before = await inputsOf(caller, { purpose: 'x', requestId: 'req_1', key: 'second' })
    expect(before).toHaveLength(1)
    let run = 0
    await fc.assert(
      fc.asyncProperty(said, async (words) => {
        run += 1
        expect(await inputsOf(caller, { ...words, key: `${words.key}${run}` })).toEqual(before)
      }),
      { numRuns: 25 },
    )
  })

  test('what is typed does change it, so the test could fail', async () => {
    const caller = story.caller('metamorphic')
    const words = { purpose: 'x', requestId: 'req_2', key: 'third' }
    const before = await inputsOf(caller, words)
    const bound: Caller = { ...caller, principal: { ...caller.principal, binding: 'dpop' } }
    expect(await inputsOf(bound, { ...words, key: 'fourth' })).not.toEqual(before)
  })
})
