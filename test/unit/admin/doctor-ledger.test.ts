// The doctor on a Redis that is healthy and holds another ledger than the audit on this host was written for.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { diagnoseLedger } from '../../../src/admin/doctor-ledger.js'
import { writeLedgerNote } from '../../../src/audit/ledger-note.js'
import type { Settings } from '../../../src/config/schema.js'
import { Secret } from '../../../src/core/secret.js'
import { connectFailFast } from '../../../src/ledger/connection.js'
import { createRestoration, type Restoration } from '../../../src/ledger/restoration.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'

let redis: TestRedis
let restoration: Restoration
let flush = async (): Promise<unknown> => undefined
let close = () => {}
beforeAll(async () => {
  redis = await startTestRedis()
  const connection = connectFailFast(redis, () => undefined)
  await new Promise<void>((resolve) => connection.once('ready', resolve))
  restoration = createRestoration(connection, redis.prefix)
  flush = () => connection.del(...['incarnation', 'paused', 'recovered:first'].map((key) => `{${redis.prefix}}:${key}`))
  close = () => connection.disconnect()
})
let directory = ''
beforeEach(async () => {
  await flush()
  directory = await mkdtemp(join(tmpdir(), 'hallpass-doctor-'))
})
afterAll(async () => {
  close()
  await rm(directory, { recursive: true, force: true })
  await redis?.stop()
})

const secretUrl = (url: TestRedis['url']) =>
  typeof url === 'string' ? new Secret(url) : url.map((one) => new Secret(one))

const examine = () =>
  diagnoseLedger({
    redis: { url: secretUrl(redis.url), prefix: redis.prefix },
    audit: { directory, instance: 'b' },
  } as unknown as Settings)

async function writeChain(name: string, incarnation: string) {
  await mkdir(join(directory, name))
  await writeLedgerNote(join(directory, name), incarnation)
}

describe('the doctor on the ledger', () => {
  test('finds nothing wrong where nothing was ever issued', async () => {
    expect(await examine()).toEqual({ part: 'ledger', problems: [], seen: 'none yet' })
  })

  test('finds nothing wrong where it is the one that the audit was written for', async () => {
    await writeChain('b-serve', 'first')
    await restoration.name('first', [], new Map())
    expect(await examine()).toEqual({ part: 'ledger', problems: [], seen: 'first' })
  })

  test('says that Redis came back empty, and what to do', async () => {
    await writeChain('b-serve', 'first')
    expect((await examine())?.problems).toEqual([expect.stringMatching(/^Redis holds no ledger, .*hallpass recover/)])
  })

  test('says that it is another one', async () => {
    await writeChain('b-serve', 'first')
    await restoration.name('second', [], new Map())
    expect((await examine())?.problems).toEqual([expect.stringMatching(/^Redis holds another ledger \(second\)/)])
  })

  test('is content with the one that was rebuilt in its place', async () => {
    await writeChain('b-serve', 'second')
    await writeChain('b-local', 'first')
    await restoration.name('second', ['first'], new Map())
    expect(await examine()).toEqual({ part: 'ledger', problems: [], seen: 'second' })
  })

  test('says that it waits for an operator, and why', async () => {
    await writeChain('b-serve', 'first')
    await restoration.name('first', [], new Map())
    await restoration.pause('it went back to a snapshot; hallpass recover --apply resumes')
    expect((await examine())?.problems).toEqual([
      'nothing is issued: it went back to a snapshot; hallpass recover --apply resumes',
    ])
  })
})
