import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { verifyAudit } from '../../../src/admin/audit-verify.js'
import { runAuditVerify } from '../../../src/bin/host-commands.js'
import { UsageError } from '../../../src/cli/exit-codes.js'
import { publicPart } from '../../../src/signing/file-keyset.js'
import { readKeyFile } from '../../../src/signing/key-file.js'
import { type AuditGround, appendMany, createAuditGround, readFileLines, writeFileLines } from '../audit/chains.js'

let ground: AuditGround
beforeAll(async () => {
  ground = await createAuditGround()
  const log = await ground.open()
  await appendMany(log, 5)
  await log.close()
})
afterAll(() => ground.remove())

function capture() {
  const texts: string[] = []
  const notes: string[] = []
  return {
    texts,
    notes,
    format: 'text' as const,
    print: (_: unknown, text: string) => void texts.push(text),
    note: (line: string) => void notes.push(line),
  }
}

const keysDirectory = () => join(ground.directory, '..', 'keys')

describe('audit verify', () => {
  test('ends with 0 for an intact audit, and says what only a witness would show', async () => {
    const output = capture()
    expect(await verifyAudit({ directory: ground.directory, keysDirectory: keysDirectory() }, output)).toBe(0)
    expect(output.texts[0]).toMatch(/^intact: .*5 records in 1 files of 1 chains, 1 checkpoints/)
    expect(output.texts[0]).toMatch(/a cut after it shows only against the ledger or a witness/)
    expect(output.texts[0]).not.toMatch(/signatures/)
  })

  test.each([
    ['s.Token-of-somebody', 'is not JSON'],
    ['{}', 'is no JWKS: expected {"keys": [...]}'],
  ])('a file of public keys that holds %j is said by name, and nothing that stands in it', async (text, says) => {
    const file = join(ground.directory, '..', 'no-keys.json')
    await writeFile(file, text)
    const command = { directory: ground.directory, publicKeysFile: file }
    await expect(verifyAudit(command, capture())).rejects.toThrow(new UsageError(`--public-keys: ${file} ${says}`))
    await rm(file)
    await expect(verifyAudit(command, capture())).rejects.toThrow(`--public-keys: ${file} cannot be read (ENOENT)`)
  })

  test('takes the public keys from a file', async () => {
    const file = join(ground.directory, '..', 'audit-public.json')
    const { keys } = await readKeyFile(join(keysDirectory(), 'audit.jwks.json'))
    await writeFile(file, JSON.stringify({ keys: keys.map(publicPart) }))
    expect(await verifyAudit({ directory: ground.directory, publicKeysFile: file }, capture())).toBe(0)
    await writeFile(file, JSON.stringify({ keys: [] }))
    const output = capture()
    expect(await verifyAudit({ directory: ground.directory, publicKeysFile: file }, output)).toBe(1)
    expect(output.texts[0]).toMatch(/^BROKEN.*\none-serve\/checkpoints.jsonl:1: .*does not verify/)
  })

  test('ends with 1 and names file, line and sequence of what is broken', async () => {
    const chain = await ground.copy()
    const file = join(chain, '1.jsonl')
    const lines = await readFileLines(file)
    await writeFileLines(file, lines.toSpliced(2, 1))
    const output = capture()
    expect(await verifyAudit({ directory: join(chain, '..'), keysDirectory: keysDirectory() }, output)).toBe(1)
    expect(output.texts[0]).toMatch(/^BROKEN: .*\none-serve\/1.jsonl:3: record 3: .*record 3 is missing/)
  })

  test('goes on without keys, and says so; a directory that is not there ends with 1', async () => {
    const output = capture()
    expect(await verifyAudit({ directory: ground.directory, keysDirectory: '/nowhere' }, output)).toBe(0)
    expect(output.notes.join()).toMatch(/not checked by signature/)
    expect(output.texts[0]).toMatch(/signatures of checkpoints were not checked/)
    await rm(join(ground.directory, 'none'), { recursive: true, force: true })
    expect(await verifyAudit({ directory: join(ground.directory, 'none') }, output)).toBe(1)
  })

  test('a named folder that is not there is a slip of whoever typed it, not a broken audit', async () => {
    const on = { config: '/nowhere/hallpass.yaml', environment: {}, output: capture() }
    const none = join(ground.directory, 'none')
    await expect(runAuditVerify(none, {}, on)).rejects.toThrow(
      new UsageError(`audit verify: there is no folder ${none}`),
    )
    const file = join(ground.directory, '..', 'keys', 'audit.jwks.json')
    await expect(runAuditVerify(file, {}, on)).rejects.toThrow(UsageError)
    expect(await runAuditVerify(ground.directory, {}, on)).toBe(0)
  })
})
