import { describe, expect, test } from '@jest/globals'
import type { AuditRecord } from '../../../src/audit/record.js'
import { RefusalCounter } from '../../../src/audit/refusals.js'
import { BrokerError } from '../../../src/core/errors.js'
import { createAuditGround, readFileLines } from './chains.js'

const clockAt = (now: { ms: number }) => ({ now: () => now.ms, monotonic: () => now.ms })

describe('refusals of callers whom nobody vouches for', () => {
  test('are one record per interval, however many they are', async () => {
    const ground = await createAuditGround()
    const audit = await ground.open()
    const now = { ms: Date.UTC(2026, 0, 1) }
    const counter = new RefusalCounter({ audit, clock: clockAt(now) })
    for (let n = 0; n < 5000; n++) counter.note('unknown_issuer')
    counter.note('expired')
    now.ms += 60_000
    await counter.flush()
    await counter.flush()
    counter.note('expired')
    await counter.close()
    await audit.close()
    const lines = await readFileLines(`${audit.directory}/1.jsonl`)
    expect(lines.map((line) => JSON.parse(line.toString()))).toEqual([
      expect.objectContaining({
        event: 'callers.refused',
        from: '2026-01-01T00:00:00.000Z',
        to: '2026-01-01T00:01:00.000Z',
        refused: 5001,
        reasons: { unknown_issuer: 5000, expired: 1 },
      }),
      expect.objectContaining({ refused: 1, reasons: { expired: 1 } }),
    ])
    await ground.remove()
  })

  test('are kept while the audit is down, and however many reasons there are, the record stays small', async () => {
    const records: AuditRecord[] = []
    let isDown = true
    const audit = {
      append: async (record: AuditRecord) => {
        if (isDown) throw new BrokerError('audit_unavailable', 'down')
        return records.push(record)
      },
    }
    const counter = new RefusalCounter({ audit, clock: clockAt({ ms: 0 }) })
    for (let n = 0; n < 1000; n++) counter.note(`reason-${n}`)
    await counter.flush()
    isDown = false
    await counter.close()
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({ refused: 1000, reasons: { other: 936 } })
    expect(Object.keys(records[0]?.reasons ?? {})).toHaveLength(65)
  })
})
