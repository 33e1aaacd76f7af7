import { expect, test } from '@jest/globals'
import { createSetClock, systemClock } from '../../../src/core/clock.js'
import { tellingTime } from '../../../src/ledger/ledger-time.js'
import { activeLease, openTask } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

const aMinuteOff = { now: () => systemClock.now() + 60_000, monotonic: () => systemClock.monotonic() }

test('a claim puts a clock right that is a minute off, and so does a look', async () => {
  const task = await openTask(at.ledger)
  const lease = await activeLease(at.ledger, task)
  await at.ledger.endLeases([lease], { reason: 'released', actor: 'a' })
  const byClaim = createSetClock(aMinuteOff)
  expect((await tellingTime(at.ledger, byClaim.setTo).claim(lease, 'first')).outcome).toBe('ok')
  const byLook = createSetClock(aMinuteOff)
  await tellingTime(at.ledger, byLook.setTo).look(task.id, null, null)
  const now = await at.ledger.now()
  for (const clock of [byClaim, byLook]) expect(Math.abs(clock.now() - now)).toBeLessThan(5000)
  // Neither what is held by another nor what is not there tells the time.
  const untold = createSetClock(aMinuteOff)
  await tellingTime(at.ledger, untold.setTo).claim(lease, 'second')
  expect(untold.now() - now).toBeGreaterThan(50_000)
})
