import { expect, test } from '@jest/globals'
import type { StoredRecord } from '../../../src/audit/read-records.js'
import { DenialProjection } from '../../../src/broker/projected-denials.js'

const minute = 60_000
const start = 29_000_000 * minute

const denied = (request: string, afterMs: number, more: object = {}) =>
  ({
    ...{ event: 'decision.denied', seq: 1, instance: 'one', account: 'ci:1', request_id: request },
    ...{ time: new Date(start + afterMs).toISOString(), ...more },
  }) as unknown as StoredRecord

function counted(records: readonly StoredRecord[], since = 0) {
  const denials = new DenialProjection()
  for (const record of records) denials.apply(record)
  return [...denials.byAccount(since)]
}

test('a request is denied once, also where the minute turns between the records that tell of it', () => {
  const [before, after] = [denied('req_1', minute - 1), denied('req_1', minute)]
  expect(counted([before, after, before])).toEqual([{ account: 'ci:1', minutes: [[29_000_000, 1]] }])
})

test('requests count by the minute, plans and what is long past not at all', () => {
  const records = [
    denied('req_1', 0),
    denied('req_2', minute - 1),
    denied('req_3', minute),
    denied('req_4', minute, { account: 'ci:2' }),
    denied('req_5', minute, { dry_run: true }),
  ]
  expect(counted(records)).toEqual([
    {
      account: 'ci:1',
      minutes: [
        [29_000_000, 2],
        [29_000_001, 1],
      ],
    },
    { account: 'ci:2', minutes: [[29_000_001, 1]] },
  ])
  expect(counted(records, start + minute)).toEqual([
    { account: 'ci:1', minutes: [[29_000_001, 1]] },
    { account: 'ci:2', minutes: [[29_000_001, 1]] },
  ])
})
