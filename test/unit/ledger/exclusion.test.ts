// I8 under concurrency, at the ledger: two processes' connections, many requests that may not be held together.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Task } from '../../../src/ledger/task.js'
import { aReservation, aTask, openTask, openTestLedger, type TestLedger } from '../../support/ledger.js'
import { startTestRedis, type TestRedis } from '../../support/redis.js'

let redis: TestRedis
let ledgers: TestLedger[]
beforeAll(async () => {
  redis = await startTestRedis()
  ledgers = [await openTestLedger(redis), await openTestLedger(redis)]
})
afterAll(async () => {
  for (const one of ledgers) await one.close()
  await redis.stop()
})

const actions = ['deploy.run', 'database.migrate']

/** The rule of this test: whoever holds one of the two gets neither. Decided on the look, again whenever it has changed. */
async function decideAndReserve({ ledger }: TestLedger, task: Task, action: string): Promise<string> {
  for (let attempt = 0; attempt < 8; attempt++) {
    const look = await ledger.lookHolders(task.holders)
    if (look.holders.some((holder) => holder.holding.some((held) => actions.includes(held)))) return 'denied'
    const versions = look.holders.map((holder) => holder.version)
    const request = await aReservation(ledger, task, { action }, {})
    const { outcome } = await ledger.reserve({ ...request, versions })
    if (outcome !== 'version') return outcome
  }
  return 'busy'
}

test('of 64 simultaneous requests exactly one is reserved, 50 times', async () => {
  const outcomes = new Map<string, number>()
  for (let round = 0; round < 50; round++) {
    const first = aTask()
    await ledgers[0]?.ledger.takeDue([], 1)
    // Two tasks of one account, one at each broker: the holders are the same.
    const tasks = [first, aTask({ account: first.account, holders: first.holders })]
    for (const [i, task] of tasks.entries()) await openTask((ledgers[i] as TestLedger).ledger, task)
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, i) =>
        decideAndReserve(ledgers[i % 2] as TestLedger, tasks[i % 2] as Task, actions[(i >> 1) % 2] as string),
      ),
    )
    expect(answers.filter((answer) => answer === 'ok')).toHaveLength(1)
    for (const answer of answers) outcomes.set(answer, (outcomes.get(answer) ?? 0) + 1)
  }
  // Nobody was put off: whoever lost the race was told so by the decision.
  expect(Object.fromEntries(outcomes)).toEqual({ ok: 50, denied: 50 * 63 })
}, 60_000)
