import { describe, expect, test } from '@jest/globals'
import { holderId } from '../../../src/ledger/keys.js'
import { aChildOf, openTask } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

describe('the look before it', () => {
  test('counts the requests of the running minute and says how long to wait', async () => {
    const task = await openTask(at.ledger)
    const rate = { account: holderId('account', task.account), perMinute: 3 }
    // The task's opening was counted too, unless the minute changed since.
    const answers = []
    for (let i = 0; i < 8; i++) answers.push(await at.ledger.look(task.id, null, rate))
    const refused = answers.filter((answer) => typeof answer === 'object' && 'rateRetryAfterSeconds' in answer)
    expect(refused.length).toBeGreaterThanOrEqual(2)
    const wait = (refused[0] as { rateRetryAfterSeconds: number }).rateRetryAfterSeconds
    expect(wait).toBeGreaterThan(0)
    expect(wait).toBeLessThanOrEqual(60)
    expect(await at.ledger.look(task.id, null, null)).toMatchObject({ chainOpen: true })
  })

  test('does not find a task that is not there, and sees a chain that is not open', async () => {
    expect(await at.ledger.look('task_none', null, null)).toBe('not_found')
    const parent = await openTask(at.ledger)
    const child = await openTask(at.ledger, aChildOf(parent))
    expect(await at.ledger.look(child.id, null, null)).toMatchObject({ chainOpen: true })
    await at.ledger.endTask(parent.id, 'succeeded')
    expect(await at.ledger.look(child.id, null, null)).toMatchObject({ chainOpen: false })
  })

  test('counts denials of the last ten minutes alone', async () => {
    const task = await openTask(at.ledger)
    const ids = task.holders.map((holder) => holder.id)
    await at.ledger.noteDenial(ids)
    await at.ledger.noteDenial(ids)
    expect((await at.ledger.lookHolders(task.holders)).holders.map((one) => one.recentDenials)).toEqual([2, 2])
    const key = `${at.tag}h:${ids[0]}`
    const minute = Math.floor((await at.ledger.now()) / 60_000)
    await at.raw.hset(key, `d:${(minute - 9) % 12}`, 5, `d:${(minute - 9) % 12}:m`, minute - 9)
    await at.raw.hset(key, `d:${(minute - 10) % 12}`, 50, `d:${(minute - 10) % 12}:m`, minute - 10)
    const looked = (await at.ledger.lookHolders(task.holders)).holders[0]?.recentDenials
    expect(looked).toBeGreaterThanOrEqual(2)
    expect(looked).toBeLessThanOrEqual(7)
  })
})
