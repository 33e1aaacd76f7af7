import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { hashLine } from '../../../src/audit/hash-chain.js'
import { verifyAuditDirectory } from '../../../src/audit/verify-chain.js'
import { until } from '../../support/wire-checks.js'
import { AuditChild, removeCompiled } from './audit-child.js'
import { type AuditGround, appendMany, createAuditGround, readFileLines, writeFileLines } from './chains.js'

let ground: AuditGround
let children: AuditChild[]
beforeEach(async () => {
  ground = await createAuditGround()
  children = []
})
afterEach(async () => {
  for (const child of children) await child.end('SIGKILL')
  await ground.remove()
})
afterAll(removeCompiled)

const start = async (prefix?: string) => {
  const child = await AuditChild.start(ground.directory, prefix)
  children.push(child)
  return child
}
/** Tells the child, and answers the failure that it then reports. */
async function next(child: AuditChild, command: string): Promise<unknown> {
  const { length } = child.messages
  child.tell(command)
  await child.until((messages) => messages.length > length)
  return child.messages.at(-1)?.failure
}
const chainOf = () => join(ground.directory, 'one-serve')
// Children sign with nothing: their chains are verified without signatures.
const verify = () => verifyAuditDirectory(ground.directory)

describe('kill -9 in the middle of writing', () => {
  test('loses no record that was answered, and the next program goes on at once', async () => {
    let answered = 0
    for (let round = 0; round < 4; round++) {
      const child = await start()
      expect(child.messages[0]).toMatchObject({ open: expect.any(Number) })
      expect(Number(child.messages[0]?.open)).toBeGreaterThanOrEqual(answered)
      child.tell('flood 3000')
      await child.until((messages) => messages.length > 50)
      await child.end('SIGKILL')
      answered = Math.max(...child.answered())
    }
    const log = await ground.open()
    expect(log.sequence).toBeGreaterThanOrEqual(answered)
    await log.append({ event: 'task.ended' })
    await log.close()
    const result = await verify()
    expect(result.problems).toEqual([])
  })

  test('a torn last line is cut, and the chain says what was cut', async () => {
    const log = await ground.open()
    await appendMany(log, 3)
    await log.close()
    const torn = '{"event":"lease.reserved","instance":"one'
    await appendFile(join(chainOf(), '1.jsonl'), torn)
    await appendFile(join(chainOf(), 'checkpoints.jsonl'), '{"jw')
    const healed = await ground.open()
    expect(healed.sequence).toBe(4)
    const record = JSON.parse(String((await readFileLines(join(chainOf(), '1.jsonl')))[3]))
    expect(record).toMatchObject({
      event: 'audit.healed',
      seq: 4,
      cut: [
        { file: '1.jsonl', bytes: torn.length, sha256: hashLine(Buffer.from(torn)) },
        { file: 'checkpoints.jsonl', bytes: 4 },
      ],
    })
    await healed.close()
    expect((await ground.verify()).problems).toEqual([])
  })

  test('a file begun and not written to is gone on with', async () => {
    const log = await ground.open()
    await appendMany(log, 3)
    await log.close()
    await writeFile(join(chainOf(), '4.jsonl'), '')
    const next = await ground.open()
    expect(await next.append({ event: 'task.ended' })).toBe(4)
    await next.close()
    expect(await ground.verify()).toMatchObject({ ok: true, segments: 2, records: 4 })
  })

  test('nothing is appended to a chain that was changed or cut short', async () => {
    const log = await ground.open()
    await appendMany(log, 5)
    await log.close()
    const file = join(chainOf(), '1.jsonl')
    const lines = await readFileLines(file)
    await writeFileLines(file, lines.slice(0, 3))
    await expect(ground.open()).rejects.toThrow(/record 5 was signed for and the last one there is 3.*audit verify/)
    await writeFileLines(file, lines.with(2, Buffer.from(String(lines[2]).replace('ci:job-2', 'ci:job-9'))))
    await expect(ground.open()).rejects.toThrow(/record 4 does not follow record 3/)
    await writeFileLines(file, lines)
    await (await ground.open()).close()
  })
})

describe('the lock', () => {
  test('of a live program is respected, in this process and in another, and released by closing', async () => {
    const child = await start()
    // A program that stands still for half a second does not say who it is; its lock is respected all the same.
    await until(
      () => ground.open().catch((error: Error) => error.message),
      (said) => {
        expect(said).toMatch(/another program writes this audit chain/)
        return String(said).includes(`(process ${child.process.pid})`)
      },
      60,
    )
    const other = await start()
    expect(other.messages[0]).toMatchObject({ refused: 'ChainLockedError' })
    child.tell('close')
    await child.until((messages) => messages.some(({ closed }) => closed === true))
    const log = await ground.open()
    await expect(ground.open()).rejects.toThrow(/another program/)
    await (await ground.open({ program: 'worker' })).close()
    await log.close()
  })

  test('of a stopped program is respected: it is alive and may go on writing', async () => {
    const child = await start()
    child.process.kill('SIGSTOP')
    await expect(ground.open()).rejects.toThrow(/does not answer/)
    child.process.kill('SIGCONT')
  })

  test('of a dead program is taken over at once', async () => {
    const child = await start()
    await child.end('SIGKILL')
    expect((await readdir(chainOf())).filter((name) => name.endsWith('.sock'))).toHaveLength(1)
    const started = performance.now()
    const log = await ground.open()
    expect(performance.now() - started).toBeLessThan(10_000)
    expect((await readdir(chainOf())).filter((name) => name.endsWith('.sock'))).toHaveLength(1)
    await log.close()
    expect((await readdir(chainOf())).filter((name) => name.endsWith('.sock'))).toHaveLength(0)
  })

  test('is had by one of many that ask at the same time', async () => {
    for (let round = 0; round < 5; round++) {
      const opened = await Promise.allSettled(Array.from({ length: 8 }, () => ground.open()))
      const held = opened.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
      expect(held.length).toBeLessThanOrEqual(1)
      for (const log of held) await log.close()
      await (await ground.open()).close()
    }
  })

  test('works in a folder whose path is longer than a socket’s may be', async () => {
    const deep = join(ground.directory, 'a'.repeat(90), 'b'.repeat(90))
    await mkdir(deep, { recursive: true })
    const log = await ground.open({ directory: deep })
    await expect(ground.open({ directory: deep })).rejects.toThrow(/another program/)
    await log.close()
    await (await ground.open({ directory: deep })).close()
  })
})

describe('a full disk', () => {
  test('refuses records, keeps the chain whole, and is recovered from when there is room', async () => {
    // The kernel's own limit on the size of a file: a write beyond it is cut short and then fails, as on a full disk.
    const child = await start('ulimit -S -f 16;')
    child.tell('append 3000')
    child.tell('append 3000')
    await child.until((messages) => messages.length === 3)
    for (let n = 0; n < 3; n++) child.tell('append 3000')
    await child.until((messages) => messages.length === 6)
    const refused = child.messages.filter(({ error }) => error === 'audit_unavailable')
    expect(refused.length).toBeGreaterThanOrEqual(1)
    // It tries again each second, and its chain may be whole again in the room that the cut record left: then that is filled.
    while (!/EFBIG/.test(String(await next(child, 'append 10')))) await next(child, 'append 3000')
    expect(child.messages.at(-1)).toMatchObject({ error: 'audit_unavailable' })
    execFileSync('prlimit', ['--pid', String(child.process.pid), '--fsize=unlimited:unlimited'])
    const before = child.answered().length
    while (child.answered().length === before) {
      await next(child, 'append 10')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    child.tell('close')
    await child.until((messages) => messages.some(({ closed }) => closed === true))
    const text = await readFile(join(chainOf(), '1.jsonl'), 'utf8')
    expect(text).toMatch(/"event":"audit.healed","failure":"EFBIG/)
    const sequences = child.answered()
    expect(new Set(sequences).size).toBe(sequences.length)
    expect((await verify()).problems).toEqual([])
  })
})
