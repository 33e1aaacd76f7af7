import { appendFile, cp, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { hashLine } from '../../../src/audit/hash-chain.js'
import { verifyAuditDirectory } from '../../../src/audit/verify-chain.js'
import { canonicalJson, type Json } from '../../../src/core/canonical-json.js'
import { type AuditGround, appendMany, createAuditGround, readFileLines, writeFileLines } from './chains.js'

let ground: AuditGround
beforeAll(async () => {
  ground = await createAuditGround()
  const log = await ground.open()
  await appendMany(log, 12)
  await log.close()
})
afterAll(() => ground.remove())

/** Breaks a copy of the chain and says what is found. */
async function broken(change: (lines: Buffer[]) => Buffer[]) {
  const chain = await ground.copy()
  const file = join(chain, '1.jsonl')
  await writeFileLines(file, change(await readFileLines(file)))
  return ground.verify(chain)
}

const flipAt = (line: Buffer, at: number, bit = 1): Buffer => {
  const flipped = Buffer.from(line)
  flipped[at] = (flipped[at] ?? 0) ^ bit
  return flipped
}

describe('an intact audit', () => {
  test('is intact, and what only a witness would show is said', async () => {
    const result = await ground.verify()
    expect(result).toMatchObject({ ok: true, chains: 1, segments: 1, records: 12, checkpoints: 1, problems: [] })
    expect(result.notes.join()).toMatch(/last checkpoint is over record 12.*witness/)
  })

  test('is intact without keys too, and says that signatures were not looked at', async () => {
    const result = await verifyAuditDirectory(ground.directory)
    expect(result.ok).toBe(true)
    expect(result.notes.join()).toMatch(/signatures of checkpoints were not checked/)
  })

  test('may end in a line that is being written', async () => {
    const chain = await ground.copy()
    await appendFile(join(chain, '1.jsonl'), '{"event":"task.op')
    await appendFile(join(chain, 'checkpoints.jsonl'), '{"jwt":"ey')
    const result = await ground.verify(chain)
    expect(result).toMatchObject({ ok: true, records: 12, checkpoints: 1 })
    expect(result.notes.join()).toMatch(/1\.jsonl:13: the last line has no end yet/)
  })

  test('is verified beside the program that writes it', async () => {
    const live = await createAuditGround()
    const log = await live.open({ segmentBytes: 20_000 })
    let writing = true
    const writer = (async () => {
      for (let round = 0; round < 40; round++) await appendMany(log, 100)
      writing = false
    })()
    let looks = 0
    while (writing) {
      expect((await live.verify()).problems).toEqual([])
      looks++
    }
    await writer
    await log.close()
    expect(looks).toBeGreaterThan(1)
    expect(await live.verify()).toMatchObject({ ok: true, records: 4000 })
    await live.remove()
  })
})

describe('a broken audit', () => {
  test.each([1, 6, 11, 12])('a flip in record %i is found there', async (sequence) => {
    const result = await broken((lines) =>
      lines.map((line, index) => (index === sequence - 1 ? flipAt(line, line.indexOf('ci:job')) : line)),
    )
    expect(result.ok).toBe(false)
    expect(result.problems[0]).toMatchObject({ file: '1.jsonl', line: sequence, sequence })
    expect(result.problems).toHaveLength(1)
  })

  test('any flip of any bit of any line is found', async () => {
    const chain = await ground.copy()
    const file = join(chain, '1.jsonl')
    const lines = await readFileLines(file)
    await fc.assert(
      fc.asyncProperty(fc.nat(11), fc.nat(), fc.nat(7), async (index, where, bit) => {
        const line = lines[index] ?? Buffer.alloc(0)
        const changed = flipAt(line, where % line.length, 1 << bit)
        await writeFileLines(file, lines.with(index, changed))
        const result = await ground.verify(chain)
        expect(result.ok).toBe(false)
        expect(result.problems.some((problem) => Math.abs(problem.line - index - 1) <= 1)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test.each([1, 6, 11])('record %i dropped is found where it stood', async (sequence) => {
    const result = await broken((lines) => lines.toSpliced(sequence - 1, 1))
    expect(result.problems[0]).toMatchObject({ file: '1.jsonl', line: sequence, sequence })
    expect(result.problems[0]?.message).toMatch(new RegExp(`record ${sequence} is missing`))
    expect(result.problems).toHaveLength(1)
  })

  test('several dropped are named as several', async () => {
    const result = await broken((lines) => lines.toSpliced(4, 3))
    expect(result.problems).toEqual([
      expect.objectContaining({ line: 5, sequence: 5, message: expect.stringMatching(/records 5 to 7 are missing/) }),
    ])
  })

  test('a copy of a record, a line of garbage and an empty line are found where they were put', async () => {
    for (const extra of ['garbage', '', null]) {
      const result = await broken((lines) =>
        lines.toSpliced(5, 0, extra === null ? (lines[2] as Buffer) : Buffer.from(extra)),
      )
      expect(result.problems).toEqual([expect.objectContaining({ file: '1.jsonl', line: 6, sequence: 6 })])
    }
  })

  test('a forged record that links to the one before is found by the ones after', async () => {
    const result = await broken((lines) => {
      const before = lines[4] as Buffer
      const forged = { event: 'task.opened', instance: 'one-serve', prev: hashLine(before), seq: 6, time: 'now' }
      return lines.toSpliced(5, 0, Buffer.from(canonicalJson(forged)))
    })
    expect(result.problems.map((problem) => problem.line)).toEqual([7, 6])
  })

  test('two swapped records are found', async () => {
    const result = await broken((lines) => [
      ...lines.slice(0, 5),
      lines[6] as Buffer,
      lines[5] as Buffer,
      ...lines.slice(7),
    ])
    expect(result.problems[0]).toMatchObject({ file: '1.jsonl', line: 6, sequence: 6 })
  })

  test('a cut end is found by the checkpoint over it, also in the middle of a line', async () => {
    const whole = await broken((lines) => lines.slice(0, 9))
    expect(whole.problems).toEqual([expect.objectContaining({ file: '1.jsonl', line: 10, sequence: 10 })])
    expect(whole.problems[0]?.message).toMatch(/records from 10 to 12.* are cut off/)
    const chain = await ground.copy()
    await truncate(join(chain, '1.jsonl'), (await readFile(join(chain, '1.jsonl'))).length - 5)
    expect((await ground.verify(chain)).problems).toEqual([expect.objectContaining({ line: 12, sequence: 12 })])
  })

  test('a chain written anew with all its hashes is found by the checkpoint', async () => {
    const result = await broken((lines) => {
      let prev = '0'.repeat(64)
      return lines.map((line, index) => {
        const record = JSON.parse(line.toString()) as Record<string, Json>
        const rewritten = Buffer.from(canonicalJson({ ...record, prev, n: index === 3 ? 99 : (record.n as Json) }))
        prev = hashLine(rewritten)
        return rewritten
      })
    })
    expect(result.problems).toEqual([expect.objectContaining({ line: 12, sequence: 12 })])
    expect(result.problems[0]?.message).toMatch(/not the one that the checkpoint on line 1 signed for/)
  })

  test('a second spelling of a value is found even at the end of a chain without checkpoints', async () => {
    const chain = await ground.copy()
    await rm(join(chain, 'checkpoints.jsonl'))
    const file = join(chain, '1.jsonl')
    const lines = await readFileLines(file)
    const last = (lines[11] as Buffer).toString()
    await writeFileLines(file, lines.with(11, Buffer.from(last.replace('"event"', '"\\u0065vent"'))))
    expect((await ground.verify(chain)).problems).toEqual([
      expect.objectContaining({ line: 12, sequence: 12, message: expect.stringMatching(/not canonical/) }),
    ])
  })

  test('a checkpoint that was changed, or signed by somebody else, is found', async () => {
    const other = await createAuditGround()
    const log = await other.open()
    await appendMany(log, 12)
    await log.close()
    const chain = await ground.copy()
    const file = join(chain, 'checkpoints.jsonl')
    await cp(join(other.directory, 'one-serve', 'checkpoints.jsonl'), file)
    expect((await ground.verify(chain)).problems[0]).toMatchObject({ file: 'checkpoints.jsonl', line: 1 })
    await other.remove()
  })

  test('any flip in a checkpoint is found', async () => {
    const chain = await ground.copy()
    const file = join(chain, 'checkpoints.jsonl')
    const line = (await readFileLines(file))[0] as Buffer
    for (let at = 0; at < line.length; at++) {
      await writeFileLines(file, [flipAt(line, at)])
      const { ok } = await ground.verify(chain)
      expect({ at, ok }).toEqual({ at, ok: false })
    }
  })
})
