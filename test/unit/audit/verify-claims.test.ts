// What checkpoints and records say of themselves, with good signatures and good hashes: whoever has the key, or writes the whole
// chain anew, still cannot pass one chain for another.
import { appendFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { hashLine } from '../../../src/audit/hash-chain.js'
import { verifyAuditDirectory } from '../../../src/audit/verify-chain.js'
import { canonicalJson, type Json } from '../../../src/core/canonical-json.js'
import { type AuditGround, appendMany, createAuditGround, readFileLines, writeFileLines } from './chains.js'

let ground: AuditGround
let lines: Buffer[]
beforeAll(async () => {
  ground = await createAuditGround()
  const log = await ground.open()
  await appendMany(log, 6)
  await log.close()
  lines = await readFileLines(join(ground.directory, 'one-serve', '1.jsonl'))
})
afterAll(() => ground.remove())

const time = '2026-11-22T13:19:00.000Z'
const hashOf = (sequence: number) => hashLine(lines[sequence - 1] ?? Buffer.alloc(0))

/** Verifies a copy of the chain whose checkpoints say this, each with our good signature. */
async function withCheckpoints(...claims: { seq: number; hash: string; instance: string }[]) {
  const chain = await ground.copy()
  const signed = await Promise.all(claims.map((one) => ground.signCheckpoint({ ...one, time })))
  await writeFile(join(chain, 'checkpoints.jsonl'), signed.map((jwt) => `${canonicalJson({ jwt })}\n`).join(''))
  return await ground.verify(chain)
}

describe('a checkpoint with a good signature', () => {
  const over = (seq: number, from = seq) => ({ seq, hash: hashOf(from), instance: 'one-serve' })

  test('over any record, in order, is taken', async () => {
    expect(await withCheckpoints(over(2), over(5), over(6))).toMatchObject({ ok: true, checkpoints: 3 })
  })

  test('of another chain is found', async () => {
    const { problems } = await withCheckpoints({ ...over(6), instance: 'one-worker' })
    expect(problems).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/is of one-worker, the chain/) }),
    ])
  })

  test('over another record than it names is found', async () => {
    const { problems } = await withCheckpoints(over(3, 4))
    expect(problems).toEqual([expect.objectContaining({ line: 3, sequence: 3 })])
  })

  test('said twice, or after a later one, is found', async () => {
    for (const claims of [
      [over(4), over(4)],
      [over(6), over(2)],
    ]) {
      const { problems } = await withCheckpoints(...claims)
      expect(problems).toEqual([expect.objectContaining({ file: 'checkpoints.jsonl', line: 2 })])
    }
  })

  test.each([1.5, -1, 0])('over record %d is none', async (seq) => {
    const { ok, problems } = await withCheckpoints({ ...over(1), seq })
    expect({ ok, file: problems[0]?.file }).toEqual({ ok: false, file: 'checkpoints.jsonl' })
  })
})

test('a line among the checkpoints that is longer than any is found, not taken for one being written', async () => {
  const chain = await ground.copy()
  await appendFile(join(chain, 'checkpoints.jsonl'), Buffer.alloc(3 << 20, 'x'))
  expect((await ground.verify(chain)).problems).toEqual([
    expect.objectContaining({ file: 'checkpoints.jsonl', line: 2, message: expect.stringMatching(/longer than any/) }),
  ])
})

describe('a chain written anew, without checkpoints', () => {
  async function writtenAnew(change: (record: Record<string, Json>) => Record<string, Json>) {
    const chain = await ground.copy()
    await rm(join(chain, 'checkpoints.jsonl'))
    let prev = '0'.repeat(64)
    const rewritten = lines.map((line) => {
      const anew = Buffer.from(canonicalJson({ ...change(JSON.parse(line.toString())), prev }))
      prev = hashLine(anew)
      return anew
    })
    await writeFileLines(join(chain, '1.jsonl'), rewritten)
    return await ground.verify(chain)
  }

  test('shows records of another instance among its own', async () => {
    const { problems } = await writtenAnew((record) =>
      record.seq === 4 ? { ...record, instance: 'two-serve' } : record,
    )
    expect(problems).toEqual([
      expect.objectContaining({ line: 4, sequence: 4, message: expect.stringMatching(/is of two-serve/) }),
    ])
  })

  test.each([
    ['no event', { event: null }],
    ['no time', { time: 7 }],
    ['no instance', { instance: null }],
  ])('shows a record with %s', async (_what, over) => {
    const { problems } = await writtenAnew((record) => (record.seq === 6 ? { ...record, ...over } : record))
    expect(problems).toEqual([expect.objectContaining({ line: 6, message: expect.stringMatching(/is not a record/) })])
  })

  test('and nothing where nothing is wrong but the hashes', async () => {
    expect((await writtenAnew((record) => ({ ...record, purpose: 'another' }))).ok).toBe(true)
  })
})

test.each(['worker', 'dev', 'local'])('a chain under the name of a %s that it is not of is found', async (program) => {
  const chain = await ground.copy()
  const named = join(dirname(chain), `one-${program}`)
  await rename(chain, named)
  expect((await ground.verify(named)).problems).toEqual([
    expect.objectContaining({ message: `this folder is of one-${program}, its records are of one-serve` }),
  ])
  expect((await ground.verify(dirname(named))).problems).toHaveLength(1)
})

describe('against what the ledger was told', () => {
  const against = (...told: [string, number][]) =>
    verifyAuditDirectory(ground.directory, { acknowledged: new Map(told), verifyCheckpoint: ground.verifyCheckpoint })

  test('a chain that has it all is whole', async () => {
    const result = await against(['one-serve', 6])
    expect(result.ok).toBe(true)
    expect(result.notes.join()).toMatch(/the ledger knows its records up to 6/)
  })

  test('one record less is found', async () => {
    const { problems } = await against(['one-serve', 7])
    expect(problems).toEqual([
      expect.objectContaining({ line: 7, sequence: 7, message: expect.stringMatching(/from 7 to 7, which/) }),
    ])
  })

  test('a chain that is elsewhere, or that the ledger does not know, is said', async () => {
    const { ok, notes } = await against(['two-serve', 3])
    expect(ok).toBe(true)
    expect(notes).toContain('two-serve: the ledger knows its records up to 3; it is not here')
    expect(notes.join()).toMatch(/one-serve.*the ledger knows nothing of this chain/)
  })
})
