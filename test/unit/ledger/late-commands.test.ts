// A Redis that hung takes up what it was asked when nobody waits for it any more: nothing may be begun by that.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { aReservation, aTask, openTask, openTestLedger, type TestLedger } from '../../support/ledger.js'
import { type OwnRedis, startOwnRedis } from '../../support/redis.js'
import { eventually } from '../../support/redis-forms.js'

let redis: OwnRedis
let at: TestLedger
beforeAll(async () => {
  redis = await startOwnRedis()
  at = await openTestLedger(redis)
})
afterAll(async () => {
  await at?.close()
  await redis?.stop()
})

test('a reservation and an opening that come late leave no lease, no task, and no key used up', async () => {
  const { ledger } = at
  const task = await openTask(ledger)
  const idempotency = { key: 'k'.repeat(32), bodySha256: 'b' }
  const request = { ...(await aReservation(ledger, task)), idempotency }
  const other = aTask()
  const pid = Number(/process_id:(\d+)/.exec(await at.raw.info('server'))?.[1])
  process.kill(pid, 'SIGSTOP')
  try {
    const given = [ledger.reserve(request), openTask(ledger, other, { idempotency: { ...idempotency, key: 'o' } })]
    for (const one of await Promise.allSettled(given)) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'ledger_unavailable' } })
    }
    await new Promise((resolve) => setTimeout(resolve, 2000))
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  // On the same connection, so behind what was sent before.
  await eventually(async () => (await ledger.findTask(task.id)) !== null)
  expect(await ledger.findLease(request.lease)).toBeNull()
  expect(await ledger.findTask(other.id)).toBeNull()
  await ledger.takeDue([], 1)
  expect(await ledger.look(task.id, idempotency.key, null)).toMatchObject({ prior: null, chainOpen: true })
  const again = { ...(await aReservation(ledger, task)), idempotency }
  expect((await ledger.reserve(again)).outcome).toBe('ok')
})
