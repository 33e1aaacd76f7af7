// A verified caller that is refused in a loop: it is told the same each time, and what is written of it is bounded.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { openTask } from '../../../src/broker/open-task.js'
import { recordRefusal } from '../../../src/broker/record-refusal.js'
import { BrokerError } from '../../../src/core/errors.js'
import { checkOperator, resolveOwnTask } from '../../../src/http/access.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

const limit = 8
let story: Story
beforeAll(async () => {
  story = await startStory({ limits: `{ account: { requests_per_minute: ${limit} } }` })
})
afterAll(async () => {
  await story.close()
})

const often = 5 * limit
const refusalsOf = async (account: string) =>
  (await story.broker.records()).filter((record) => /refused$/.test(record.event) && record.account === account)

test.each(['on what is another\u2019s', 'through the wrong door', 'for what the catalogue does not have'])(
  'refused %s: written down up to the rate, and once that there was more',
  async (what) => {
    const caller = story.caller()
    const mine = await story.task(story.caller())
    const { principal, requestId } = caller
    for (let i = 0; i < often; i++) {
      if (what.startsWith('on')) {
        const identity = { kind: 'principal', principal, requestId, taskToken: null } as const
        expect(await codeOf(resolveOwnTask(story.parts, identity, mine.id))).toBe('not_found')
      } else {
        const code = what.startsWith('through') ? 'not_permitted' : 'unknown_action'
        await recordRefusal(story.parts, caller, null, new BrokerError(code, 'refused'))
      }
    }
    const records = await refusalsOf(principal.account)
    // A minute may end in between.
    expect(records.length).toBeLessThanOrEqual(2 * (limit + 1))
    expect(records.map(({ code }) => code)).toContain('rate')
    // Nobody else's are hidden by it.
    const other = story.caller()
    await recordRefusal(story.parts, other, null, new BrokerError('not_permitted', 'refused'))
    expect(await refusalsOf(other.principal.account)).toMatchObject([{ code: 'not_permitted' }])
  },
)

test('an operator who tries in a loop what no policy permits is refused each time', async () => {
  const olga = story.operator()
  for (let i = 0; i < often; i++)
    expect(await codeOf(checkOperator(story.parts, olga, 'operate.revoke', null))).toBe('not_permitted')
  const records = await story.records('operator.refused')
  expect(records.length).toBeLessThanOrEqual(2 * (limit + 1))
  expect(records.length).toBeGreaterThan(limit)
})

test('an opening that is repeated with its key in a loop is bounded by the rate', async () => {
  const caller = story.caller()
  const idempotency = { key: `again-${process.pid}`, bodySha256: 'b' }
  const codes: string[] = []
  await story.parts.ledger.takeDue([], 1)
  const open = () => openTask(story.parts, caller, { purpose: 'a story' }, idempotency)
  await open()
  for (let i = 0; i < often; i++) codes.push(await codeOf(open()))
  expect([...new Set(codes)].sort()).toEqual(['already_issued', 'rate'])
  const opened = (await story.records('task.opened')).filter((record) => record.account === caller.principal.account)
  expect(opened.length).toBeLessThanOrEqual(2 * limit)
})
