import { describe, expect, test } from '@jest/globals'
import { ClockSkew } from '../../../src/identity/clock-skew.js'
import { createManualClock } from './identity-fixtures.js'

const start = Date.parse('2026-11-22T13:00:00Z')

/** What one answer tells, received `tookMs` after it was asked for. */
function measure(date: string | undefined, tookMs = 0, age?: string): number | null {
  const clock = createManualClock(start + tookMs)
  const skew = new ClockSkew(clock)
  skew.noteAnswer(date, age, start)
  return skew.read().byDate
}

describe('the skew by the Date of an answer', () => {
  test.each<[string, string | undefined, number, string | undefined, number | null]>([
    ['the same second', 'Sun, 22 Nov 2026 13:00:00 GMT', 0, undefined, 0],
    ['half a minute ahead', 'Sun, 22 Nov 2026 13:00:30 GMT', 0, undefined, 30],
    ['half a minute behind, of which one second may be rounding', 'Sun, 22 Nov 2026 12:59:30 GMT', 0, undefined, -29],
    ['a slow answer, which makes no skew', 'Sun, 22 Nov 2026 13:00:04 GMT', 5000, undefined, 0],
    ['an answer of a cache, which says how old it is', 'Sun, 22 Nov 2026 12:50:00 GMT', 0, '600', 0],
    ['an age that is no number', 'Sun, 22 Nov 2026 13:00:30 GMT', 0, 'old', null],
    ['no date', undefined, 0, undefined, null],
    ['a date that is none', 'yesterday', 0, undefined, null],
  ])('%s', (_what, date, tookMs, age, expected) => {
    expect(measure(date, tookMs, age)).toBe(expected)
  })
})
