// Pages of the recent window: each record once, also where programs' records arrive out of their times' order.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readAudit } from '../../../src/broker/read-audit.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(() => story?.close())

const account = 'ci:paged'
const record = (seq: number, instance: string, time: number, claimed = false) => ({
  task: null,
  kind: claimed ? ('claimed' as const) : ('records' as const),
  text: JSON.stringify({
    event: claimed ? 'tool.called' : 'lease.issued',
    account,
    seq,
    instance,
    time: new Date(time).toISOString(),
  }),
})

test.each([1, 2, 3, 7, 100])('pages of %i give every record once', async (limit) => {
  const mine = `${account}:${limit}`
  const base = Date.parse('2031-01-01T00:00:00.000Z')
  const records = Array.from({ length: 40 }, (_, i) => {
    // Two programs whose batches arrive by turns, a second apart, and claims between them.
    const batch = Math.floor(i / 5)
    return record(i + 1, batch % 2 === 0 ? 'a-serve' : 'b-worker', base + i * 100 - (batch % 2) * 1500, i % 7 === 3)
  }).map((one) => ({ ...one, text: one.text.replace(account, mine) }))
  await story.parts.ledger.noteRecords(records, [])
  const seen: number[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 100; pages++) {
    const page = await readAudit(story.parts, { account: mine }, () => true, cursor, limit)
    expect(page.records.length).toBeLessThanOrEqual(limit)
    const times = page.records.map(({ time }) => time)
    expect(times).toEqual([...times].sort().reverse())
    seen.push(...page.records.map(({ seq }) => seq))
    // What comes meanwhile stands in front, and moves no page.
    await story.parts.ledger.noteRecords([record(1000, 'c-serve', base)], [])
    if (page.nextCursor === null) break
    cursor = page.nextCursor
  }
  expect([...seen].sort((a, b) => a - b)).toEqual(records.map((_, i) => i + 1))
})
