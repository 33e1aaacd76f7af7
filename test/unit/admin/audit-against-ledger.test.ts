// What was cut off behind the last checkpoint, or before there was one, shows by what the ledger was told of.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { verifyAudit } from '../../../src/admin/audit-verify.js'
import type { RedisSettings } from '../../../src/ledger/connection.js'
import { openTestLedger, type TestLedger } from '../../support/ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'
import { type AuditGround, appendMany, createAuditGround } from '../audit/chains.js'

let ground: AuditGround
let redis: TestRedis
let at: TestLedger
beforeAll(async () => {
  ground = await createAuditGround()
  const log = await ground.open()
  await appendMany(log, 5)
  await log.close()
  redis = await startTestRedis()
  at = await openTestLedger(redis)
})
afterAll(async () => {
  await at.close()
  await redis.stop()
  await ground.remove()
})

async function verified(known: Readonly<Record<string, string>>, settings: RedisSettings = redis) {
  const texts: string[] = []
  const notes: string[] = []
  const output = {
    print: (_: unknown, text: string) => void texts.push(text),
    note: (line: string) => void notes.push(line),
  }
  await at.raw.del(`${at.tag}wal`)
  if (Object.keys(known).length > 0) await at.raw.hset(`${at.tag}wal`, known)
  const code = await verifyAudit({ directory: ground.directory, redis: settings }, output)
  return { code, said: [...texts, ...notes].join('\n') }
}

describe('audit verify --against-ledger', () => {
  test('is intact where the chain reaches as far as the ledger knows, or further', async () => {
    for (const known of ['5', '3']) {
      const { code, said } = await verified({ 'one-serve': known, 'one-serve/n': '9', 'one-serve/t': '1700000000000' })
      expect({ code, said }).toEqual({
        code: 0,
        said: expect.stringContaining(`the ledger knows its records up to ${known}`),
      })
    }
  })

  test('is broken where the ledger was told of more, which no file shows', async () => {
    const { code, said } = await verified({ 'one-serve': '7' })
    expect(code).toBe(1)
    expect(said).toContain(
      'one-serve/1.jsonl:6: record 6: the records from 6 to 7, which the ledger was told of, are cut off the end',
    )
  })

  test('notes the chains that are not here, and one that the ledger does not know', async () => {
    const { code, said } = await verified({ 'two-worker': '40' })
    expect(code).toBe(0)
    expect(said).toContain('two-worker: the ledger knows its records up to 40; it is not here')
    expect(said).toContain('the ledger knows nothing of this chain')
  })

  test('ends with 6 where Redis is away', async () => {
    const { code, said } = await verified({}, { ...redis, url: 'redis://127.0.0.1:1' })
    expect(code).toBe(6)
    expect(said).toMatch(/Redis cannot be reached/)
  }, 20_000)
})
