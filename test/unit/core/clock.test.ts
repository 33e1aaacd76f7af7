import { expect, test } from '@jest/globals'
import { createSetClock } from '../../../src/core/clock.js'

test('a clock that was set goes by what has passed since, whatever the time of day then does', () => {
  const base = { day: 1_000_000, passed: 50 }
  const clock = createSetClock({ now: () => base.day, monotonic: () => base.passed })
  expect(clock.now()).toBe(1_000_000)
  clock.setTo(940_000)
  base.day += 7000
  base.passed += 1000
  expect(clock.now()).toBe(941_000)
  expect(clock.monotonic()).toBe(1050)
  clock.setTo(941_500)
  expect(clock.now()).toBe(941_500)
})
