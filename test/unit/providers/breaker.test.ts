import { beforeEach, describe, expect, test } from '@jest/globals'
import { Breaker, type BreakerState, createBreakers } from '../../../src/providers/breaker.js'

const settings = { failures: 3, firstMs: 1000, longestMs: 4000, probeMs: 10_000 }
let time = 0
let seen: BreakerState[] = []
let breaker: Breaker
beforeEach(() => {
  time = 0
  seen = []
  breaker = new Breaker({ monotonic: () => time }, settings, (state) => seen.push(state))
})

const enter = () => {
  const pass = breaker.enter()
  if (pass === null) throw new Error('it is open')
  return pass
}
const failTimes = (times: number) => {
  for (let i = 0; i < times; i++) enter().unanswered()
}

describe('a breaker', () => {
  test('opens after so many unanswered calls in a row, and no earlier', () => {
    failTimes(2)
    expect(breaker.state).toBe('closed')
    failTimes(1)
    expect(breaker.state).toBe('open')
    expect(breaker.enter()).toBeNull()
    expect(breaker.waitMs()).toBeGreaterThan(850)
    expect(breaker.waitMs()).toBeLessThanOrEqual(1000)
    expect(seen).toEqual(['open'])
  })

  test('an answer in between starts the count anew; what says nothing does not count', () => {
    failTimes(2)
    time += 1
    enter().answered()
    failTimes(2)
    for (let i = 0; i < 10; i++) enter().withdrawn()
    expect(breaker.state).toBe('closed')
    expect(breaker.failures).toBe(2)
  })

  test('lets one probe through after the back-off; answered, it closes', () => {
    failTimes(3)
    time += 1000
    expect(breaker.waitMs()).toBe(0)
    const probe = enter()
    expect(breaker.state).toBe('probing')
    expect(breaker.enter()).toBeNull()
    expect(breaker.waitMs()).toBe(1000)
    probe.answered()
    expect(breaker.enter()).not.toBeNull()
    expect(seen).toEqual(['open', 'probing', 'closed'])
  })

  test('each probe that fails doubles the back-off, up to the longest', () => {
    failTimes(3)
    for (const backOff of [2000, 4000, 4000]) {
      time += 5000
      enter().unanswered()
      expect(breaker.waitMs()).toBeGreaterThan(backOff * 0.89)
      expect(breaker.waitMs()).toBeLessThanOrEqual(backOff)
    }
    time += 5000
    enter().answered()
    failTimes(3)
    expect(breaker.waitMs()).toBeLessThanOrEqual(1000)
  })

  test('a probe that was not made lets the next one go; one that is never heard of is forgotten', () => {
    failTimes(3)
    time += 1000
    const first = enter()
    first.withdrawn()
    first.unanswered()
    expect(breaker.waitMs()).toBe(0)
    enter()
    time += 9999
    expect(breaker.enter()).toBeNull()
    time += 1
    expect(breaker.enter()).not.toBeNull()
  })

  test('what was sent earlier neither puts the probe off nor opens it again', () => {
    const [early, late] = [enter(), enter()]
    failTimes(3)
    early.unanswered()
    expect(breaker.waitMs()).toBeLessThanOrEqual(1000)
    time += 1000
    enter().answered()
    late.unanswered()
    expect(breaker.failures).toBe(0)
  })
})

describe('a pass', () => {
  test('counts once, whatever is said by it later', () => {
    const pass = enter()
    for (let i = 0; i < 5; i++) pass.unanswered()
    expect(breaker.failures).toBe(1)
    pass.answered()
    expect(breaker.failures).toBe(1)
    expect(seen).toEqual([])
  })

  test('of a closed breaker is no probe: answered or withdrawn, nothing has changed', () => {
    enter().answered()
    enter().withdrawn()
    expect(seen).toEqual([])
    const early = enter()
    failTimes(3)
    time += 1000
    enter()
    early.withdrawn()
    expect(breaker.enter()).toBeNull()
    expect(seen).toEqual(['open', 'probing'])
  })

  test('of a probe says so when it is withdrawn; one that was forgotten speaks for nobody', () => {
    failTimes(3)
    time += 1000
    enter().withdrawn()
    expect(seen).toEqual(['open', 'probing', 'open'])
    for (const speak of ['withdrawn', 'unanswered'] as const) {
      const forgotten = enter()
      time += 10_000
      enter()
      forgotten[speak]()
      expect(breaker.state).toBe('probing')
      expect(breaker.enter()).toBeNull()
      expect(breaker.waitMs()).toBe(1000)
      time += 10_000
    }
  })
})

describe('all breakers', () => {
  test('issue and revoke of each provider apart; only those that do not answer are told of', () => {
    const told: string[] = []
    const all = createBreakers({ monotonic: () => time }, (...state) => told.push(state.join(' ')), settings)
    expect(all.troubles()).toEqual({})
    for (let i = 0; i < 3; i++) all.issue('vault').enter()?.unanswered()
    all.revoke('vault').enter()?.answered()
    all.revoke('aws').enter()?.unanswered()
    expect(all.issue('vault').state).toBe('open')
    expect(all.revoke('vault').state).toBe('closed')
    expect(all.issue('aws').state).toBe('closed')
    expect(all.troubles()).toEqual({
      vault: 'issue: does not answer (3 times in a row), open, next probe in 1 s',
      aws: 'revoke: does not answer (once)',
    })
    expect(told).toContain('vault issue open')
  })
})
