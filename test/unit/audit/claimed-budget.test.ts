// What callers claim has a small part of the queue and none of the disk that is kept; what we do goes on beside it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { type AuditLog, openAuditLog } from '../../../src/audit/audit-log.js'
import { listChains, readRecords } from '../../../src/audit/read-records.js'
import { systemClock } from '../../../src/core/clock.js'

let folder: string
let log: AuditLog
async function open(reserveBytes?: number): Promise<AuditLog> {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-claims-'))
  const signCheckpoint = async () => 'a.b.c'
  const options = { directory: folder, instance: 'one', program: 'serve', clock: systemClock, signCheckpoint } as const
  // The disk of a busy machine stands still for seconds at times.
  log = await openAuditLog({ ...options, reserveBytes, waitMs: 15_000 })
  return log
}
afterEach(async () => {
  await log.close()
  await rm(folder, { recursive: true, force: true })
})
const claim = (detail = '') => log.append({ event: 'tool.called', claimed: true, tool: 'x', detail })
const events = async () => {
  const found: string[] = []
  for (const chain of (await listChains(folder)).values())
    for await (const { event } of readRecords(chain)) found.push(event)
  return found
}

test('below the low-water mark of the disk claims are refused, and decisions and revocations are written', async () => {
  await open(Number.MAX_SAFE_INTEGER)
  await expect(claim()).rejects.toMatchObject({ code: 'audit_unavailable', retryAfterSeconds: 60 })
  expect(await log.append({ event: 'decision.denied' })).toBe(1)
  expect(await log.append({ event: 'lease.ended' })).toBe(2)
  await expect(claim()).rejects.toMatchObject({ detail: expect.stringContaining('kept for decisions') })
  expect(log.status().healthy).toBe(true)
  expect(await events()).toEqual(['decision.denied', 'lease.ended'])
})

test('a flood of claims has 1 MiB of the queue at once; what we do is written in its midst', async () => {
  await open(0)
  await claim()
  const flood = Array.from({ length: 3000 }, () => claim('y'.repeat(1000)))
  const ours = Array.from({ length: 50 }, () => log.append({ event: 'lease.reserved', detail: 'z'.repeat(1000) }))
  const ends = await Promise.allSettled(flood)
  await Promise.all(ours)
  const taken = ends.filter(({ status }) => status === 'fulfilled').length
  expect(taken).toBeGreaterThan(100)
  expect(taken * 1000).toBeLessThanOrEqual(1 << 20)
  const refused = ends.find((end) => end.status === 'rejected')
  expect(refused?.reason).toMatchObject({
    code: 'audit_unavailable',
    detail: expect.stringContaining('wait for the disk'),
  })
  const seen = await events()
  expect(seen.filter((event) => event === 'lease.reserved')).toHaveLength(50)
  expect(seen.filter((event) => event === 'tool.called')).toHaveLength(taken + 1)
  // There is room again.
  await claim()
})
