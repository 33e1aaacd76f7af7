import { execFileSync } from 'node:child_process'
import { open as openFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { AuditLog } from '../../../src/audit/audit-log.js'
import type { BrokerError } from '../../../src/core/errors.js'
import { millisecondsOf, quickestOf } from '../../support/wall-time.js'
import { until } from '../../support/wire-checks.js'
import { type AuditGround, appendMany, createAuditGround, readFileLines } from './chains.js'

let ground: AuditGround
let log: AuditLog | null
beforeEach(async () => {
  ground = await createAuditGround()
  log = null
})
afterEach(async () => {
  await log?.close()
  await ground.remove()
})

const recordsOf = async (file = '1.jsonl') =>
  (await readFileLines(join(ground.directory, 'one-serve', file))).map((line) => JSON.parse(line.toString()))

describe('appending', () => {
  test('answers with the sequence once the record is on disk, complete and canonical', async () => {
    log = await ground.open()
    expect(await log.append({ event: 'decision.denied', principal: 'ci:a', reason: undefined })).toBe(1)
    const [record] = await recordsOf()
    expect(record).toMatchObject({ event: 'decision.denied', principal: 'ci:a', seq: 1, instance: 'one-serve' })
    expect(record.prev).toBe('0'.repeat(64))
    expect(Date.parse(record.time)).not.toBeNaN()
    expect(log.sequence).toBe(1)
  })

  test('gives every one of many concurrent records its own place and shares the flushes', async () => {
    log = await ground.open()
    const sequences = await appendMany(log, 2000)
    expect(new Set(sequences).size).toBe(2000)
    expect(Math.max(...sequences)).toBe(2000)
    // 2,000 records in one turn are under half a megabyte: one flush carries them, and no record had one of its own.
    expect(log.status().flushes).toBeLessThanOrEqual(2)
    await log.close()
    expect(await ground.verify()).toMatchObject({ ok: true, records: 2000 })
  })

  test('records that arrive while a flush runs share the next one', async () => {
    log = await ground.open()
    const opened = log
    const loops = Array.from({ length: 64 }, async () => {
      for (let i = 0; i < 10; i++) await opened.append({ event: 'task.opened' })
    })
    await Promise.all(loops)
    expect(log.sequence).toBe(640)
    expect(log.status().flushes).toBeLessThan(640 / 8)
  })

  test('a record without a JSON form is refused and takes no place in the chain', async () => {
    log = await ground.open()
    await expect(log.append({ event: 'task.opened', n: Number.NaN })).rejects.toThrow(TypeError)
    await expect(log.append({ event: 'task.opened', text: 'x'.repeat(1 << 20) })).rejects.toThrow(RangeError)
    expect(await log.append({ event: 'task.opened' })).toBe(1)
  })

  test('members of the chain are the writer’s, whatever a record says', async () => {
    log = await ground.open()
    await log.append({ event: 'task.opened', seq: 77, prev: 'x', instance: 'other' })
    expect((await recordsOf())[0]).toMatchObject({ seq: 1, prev: '0'.repeat(64), instance: 'one-serve' })
  })

  test('goes on where the last program stopped, in files of a bounded size', async () => {
    log = await ground.open({ segmentBytes: 2000 })
    await appendMany(log, 10)
    await log.close()
    log = await ground.open({ segmentBytes: 2000 })
    expect(log.sequence).toBe(10)
    await appendMany(log, 10)
    expect(await log.append({ event: 'task.ended' })).toBe(21)
    const names = (await readdir(join(ground.directory, 'one-serve'))).filter((name) => name.endsWith('.jsonl'))
    expect(names.sort()).toEqual(['1.jsonl', '11.jsonl', '21.jsonl', 'checkpoints.jsonl'])
    expect((await recordsOf('11.jsonl'))[0].seq).toBe(11)
    await log.close()
    expect(await ground.verify()).toMatchObject({ ok: true, records: 21 })
  })

  test('after closing is refused', async () => {
    log = await ground.open()
    await log.close()
    await expect(log.append({ event: 'task.opened' })).rejects.toMatchObject({ code: 'audit_unavailable' })
  })
})

describe('checkpoints', () => {
  test('are signed every thousand records and at the end', async () => {
    log = await ground.open()
    const file = join(ground.directory, 'one-serve', 'checkpoints.jsonl')
    for (let round = 1; round <= 2; round++) {
      await appendMany(log, 1000)
      while ((await readFileLines(file).catch(() => [])).length < round)
        await new Promise((wake) => setTimeout(wake, 5))
    }
    await appendMany(log, 500)
    await log.close()
    const lines = await readFileLines(file)
    const claims = await Promise.all(lines.map((line) => ground.verifyCheckpoint(JSON.parse(line.toString()).jwt)))
    expect(claims.map(({ seq }) => seq)).toEqual([1000, 2000, 2500])
    expect(claims[0]).toMatchObject({ instance: 'one-serve', iss: 'https://hallpass.test' })
    expect(await ground.verify()).toMatchObject({ ok: true, checkpoints: claims.length })
  })

  test('are not repeated where nothing came after the last', async () => {
    log = await ground.open()
    const file = join(ground.directory, 'one-serve', 'checkpoints.jsonl')
    await appendMany(log, 1000)
    const over = async (line?: Buffer) =>
      line === undefined ? 0 : (await ground.verifyCheckpoint(JSON.parse(line.toString()).jwt)).seq
    const written = () => readFileLines(file).catch(() => [])
    await until(
      async () => over((await written()).at(-1)),
      (seq) => seq === 1000,
      60,
    )
    const before = await written()
    await log.close()
    expect(await written()).toEqual(before)
    expect(await ground.verify()).toMatchObject({ ok: true, records: 1000, checkpoints: before.length })
  })

  test('that could not be signed for a while are no trouble any more once one was', async () => {
    let isAway = true
    const opened = await ground.open({
      signCheckpoint: (claims) => (isAway ? Promise.reject(new Error('no audit key')) : ground.signCheckpoint(claims)),
    })
    log = opened
    await appendMany(opened, 1000)
    await until(
      () => opened.status().checkpointError,
      (why) => why === 'no audit key',
      60,
    )
    isAway = false
    await opened.append({ event: 'task.opened' })
    await until(
      () => opened.status().checkpointError,
      (why) => why === null,
      60,
    )
    await opened.close()
    expect(await ground.verify()).toMatchObject({ ok: true, records: 1001 })
  })

  test('that cannot be signed are tried again and stop no record', async () => {
    log = await ground.open({ signCheckpoint: () => Promise.reject(new Error('no audit key')) })
    await appendMany(log, 1000)
    expect(await log.append({ event: 'task.opened' })).toBe(1001)
    expect(log.status()).toMatchObject({ healthy: true, checkpointError: 'no audit key' })
  })
})

/** Holds every thread on which Node does file work: each waits for a writer of a pipe that nobody has opened. */
async function stallDisk(directory: string): Promise<() => Promise<void>> {
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  const pipes = Array.from({ length: threads }, (_, n) => join(directory, `pipe-${n}`))
  execFileSync('mkfifo', pipes)
  const readers = pipes.map((pipe) => openFile(pipe, 'r'))
  await new Promise((resolve) => setTimeout(resolve, 50))
  return async () => {
    // From another process: this one has no thread left to open the far ends with.
    execFileSync('sh', ['-c', pipes.map((pipe) => `: > '${pipe}'`).join('; ')])
    for (const reader of await Promise.all(readers)) await reader.close()
  }
}

describe('a disk that does not answer', () => {
  test('costs a bounded wait, then refuses at once; what gets there later keeps its place', async () => {
    const waiting = await ground.open({ waitMs: 4000 })
    log = waiting
    await log.append({ event: 'task.opened' })
    const release = await stallDisk(ground.directory)
    const started = performance.now()
    const late = await log.append({ event: 'lease.reserved', lease: 'lease_late' }).catch((error: BrokerError) => error)
    expect(late).toMatchObject({ code: 'audit_unavailable', retryAfterSeconds: 2 })
    const waited = performance.now() - started
    expect(waited).toBeGreaterThanOrEqual(3990)
    // Without a bound it would not end before the disk is released.
    expect(waited).toBeLessThan(30_000)
    // The flush began after the record was appended: only once it is seen to be late is nothing more queued behind it.
    await until(
      () => waiting.status().healthy,
      (isHealthy) => !isHealthy,
      60,
    )
    const again = () =>
      millisecondsOf(() =>
        expect(waiting.append({ event: 'lease.reserved' })).rejects.toMatchObject({ code: 'audit_unavailable' }),
      )
    expect(await quickestOf(again, 100)).toBeLessThan(100)
    expect(log.status()).toMatchObject({ healthy: false, failure: 'the disk does not answer' })
    await release()
    let sequence = 0
    while (sequence === 0) {
      // A refusal at once never lets the loop turn, and the disk's answer would wait for ever.
      await new Promise((resolve) => setTimeout(resolve, 10))
      sequence = await log.append({ event: 'task.ended' }).catch(() => 0)
    }
    expect(sequence).toBe(3)
    expect(log.status().healthy).toBe(true)
    await log.close()
    expect((await recordsOf()).map(({ seq, lease }) => [seq, lease])).toEqual([
      [1, undefined],
      [2, 'lease_late'],
      [3, undefined],
    ])
    expect((await ground.verify()).ok).toBe(true)
  })
})
