import { cp, mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { appendMany, createAuditGround } from './chains.js'

describe('files of a chain', () => {
  async function segmented() {
    const many = await createAuditGround()
    const log = await many.open({ segmentBytes: 1000 })
    for (let round = 0; round < 6; round++) await appendMany(log, 5)
    await log.close()
    return many
  }

  test('are followed in order, and a missing or renamed one is found', async () => {
    const many = await segmented()
    const intact = await many.verify()
    expect(intact).toMatchObject({ ok: true, records: 30 })
    expect(intact.segments).toBeGreaterThan(3)
    const missing = await many.copy()
    await rm(join(missing, '11.jsonl'))
    expect((await many.verify(missing)).problems[0]).toMatchObject({ file: '16.jsonl', line: 1, sequence: 11 })
    const renamed = await many.copy()
    await rename(join(renamed, '11.jsonl'), join(renamed, '12.jsonl'))
    expect((await many.verify(renamed)).problems[0]).toMatchObject({ file: '12.jsonl', line: 1, sequence: 11 })
    const unended = await many.copy()
    await truncate(join(unended, '11.jsonl'), (await readFile(join(unended, '11.jsonl'))).length - 1)
    expect((await many.verify(unended)).problems[0]).toMatchObject({ file: '11.jsonl', line: 5, sequence: 15 })
    await many.remove()
  })

  test('of several chains are told apart, and a chain under another name is found', async () => {
    const both = await createAuditGround()
    for (const program of ['serve', 'worker'] as const) {
      const log = await both.open({ program })
      await appendMany(log, 3)
      await log.close()
    }
    expect(await both.verify()).toMatchObject({ ok: true, chains: 2, records: 6 })
    await rm(join(both.directory, 'one-serve'), { recursive: true })
    await cp(join(both.directory, 'one-worker'), join(both.directory, 'one-serve'), { recursive: true })
    expect((await both.verify()).problems).toEqual([expect.objectContaining({ file: 'one-serve' })])
    await both.remove()
  })

  test('that are not there are no intact audit', async () => {
    const none = await createAuditGround()
    await mkdir(join(none.directory, 'one-serve'), { recursive: true })
    expect((await none.verify()).ok).toBe(false)
    await none.remove()
  })

  test('with a line without end are refused without being read into memory', async () => {
    const many = await segmented()
    const chain = await many.copy()
    await writeFile(join(chain, '26.jsonl'), Buffer.alloc(3 << 20, 'x'), { flag: 'a' })
    expect((await many.verify(chain)).problems).toEqual([
      expect.objectContaining({ file: '26.jsonl', line: 6, message: expect.stringMatching(/longer than any record/) }),
    ])
    await many.remove()
  })
})
