import { describe, expect, test } from '@jest/globals'
import { scanLeases } from '../../../src/ledger/live-scan.js'
import { createScripts } from '../../../src/ledger/scripts.js'
import { aChildOf, activeLease, listed, manyLeases, openTask, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

describe('listing by pages', () => {
  test.each([
    [5, 2],
    [300, 7],
  ])('gives each of %i leases once, %i at a time, across providers', async (count, limit) => {
    const names = [`a${count}`, `b${count}`]
    const ids = (await Promise.all(names.map((name) => manyLeases(at, name, count)))).flat()
    const seen = await listed(at, {}, names, limit)
    expect(seen.sort()).toEqual([...ids].sort())
  })

  test.each(['', '!', 'AAAA', Buffer.from('1.2').toString('base64url')])('refuses %j as a cursor', async (cursor) => {
    await expect(at.ledger.scanLeases({}, ['far'], cursor, 1)).rejects.toMatchObject({ code: 'invalid_request' })
  })
})

describe('a filter that few of many match', () => {
  test('is answered in pieces of bounded time, each with the place where the next one goes on', async () => {
    const names = ['hay', 'stack']
    for (const name of names) await manyLeases(at, name, 2000)
    const task = await openTask(at.ledger)
    const needle = await activeLease(at.ledger, task, { provider: 'stack' })
    const reader = { run: createScripts(at.raw, at.tag), findLeases: at.ledger.findLeases }
    const found: string[] = []
    let [pages, cursor] = [0, null as string | null]
    do {
      // As if each step took as long as one answer may.
      const page = await scanLeases(reader, { account: task.account }, names, cursor, 100, -1)
      found.push(...page.leases.map((lease) => lease.id))
      cursor = page.cursor
      pages++
    } while (cursor !== null)
    expect(found).toEqual([needle])
    expect(pages).toBeGreaterThan(20)
    // With the time that an answer has, nobody notices.
    expect(await listed(at, { account: task.account }, names, 100)).toEqual([needle])
  })

  test('a task names its leases itself, and those of the tasks below it: no index is read', async () => {
    const task = await openTask(at.ledger)
    const child = await openTask(at.ledger, aChildOf(task))
    const other = await openTask(at.ledger)
    const [own, below] = [await activeLease(at.ledger, task), await activeLease(at.ledger, child)]
    await activeLease(at.ledger, other)
    const ended = await activeLease(at.ledger, task)
    await at.ledger.endLeases([ended], { reason: 'revoked', actor: 'a' })
    await at.ledger.claim(ended, 'w')
    await at.ledger.settle(ended, 'w', settlementOf('revoked'))
    await at.raw.del(`${at.tag}due:far`)
    const found: string[] = []
    for await (const page of at.ledger.liveRefs({ task: task.id }, ['far'])) found.push(...page.map(({ id }) => id))
    expect(found.sort()).toEqual([own, below].sort())
    for await (const page of at.ledger.liveRefs({ task: task.id, action: 'none' }, ['far'])) expect(page).toEqual([])
  })
})
