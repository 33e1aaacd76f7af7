import { describe, expect, test } from '@jest/globals'
import type { Offer, OfferBounds } from '../../../src/policy/decision.js'
import { chooseOffer } from '../../../src/policy/offers.js'
import { wideBounds } from '../../support/example-config.js'

const offer = (policy: string, over: Partial<Offer> = {}): Offer => ({
  policy,
  maxTtlSeconds: null,
  approval: null,
  binding: null,
  ...over,
})
const bounds = (over: Partial<OfferBounds> = {}, require: Partial<OfferBounds['require']> = {}): OfferBounds => ({
  ...wideBounds,
  ...over,
  require: { ...wideBounds.require, ...require },
})
const chosen = (offers: Offer[], within = bounds()) => {
  const choice = chooseOffer(offers, within)
  return 'refused' in choice ? choice.refused : [choice.offer.policy, choice.ttlSeconds, choice.approvals]
}
const dba = (count: number) => ({ approval: { group: 'dba', count } })

describe('the choice among offers', () => {
  test('takes the fewest approvers first, before any lifetime', () => {
    expect(chosen([offer('a', dba(2)), offer('b', dba(1)), offer('c', { maxTtlSeconds: 5 })])).toEqual(['c', 5, []])
    expect(chosen([offer('a', dba(2)), offer('b', { ...dba(1), maxTtlSeconds: 5 })])).toEqual([
      'b',
      5,
      [{ group: 'dba', count: 1 }],
    ])
  })

  test('takes the longest lifetime next, then the lowest @id', () => {
    const three = [
      offer('c', { maxTtlSeconds: 60 }),
      offer('b', { maxTtlSeconds: 90 }),
      offer('a', { maxTtlSeconds: 90 }),
    ]
    expect(chosen(three)).toEqual(['a', 90, []])
    expect(chosen([...three].reverse())).toEqual(['a', 90, []])
    expect(chosen([offer('a', { maxTtlSeconds: 60 }), offer('b', { maxTtlSeconds: 90 })])).toEqual(['b', 90, []])
  })

  test('never gives more than was asked, whatever a permit allows', () => {
    expect(chosen([offer('a', { maxTtlSeconds: 10_000 })])).toEqual(['a', 600, []])
  })

  test('lets offers fall away whose binding is unmet', () => {
    const bound = [offer('a', { binding: 'mtls' }), offer('b', { binding: 'any', maxTtlSeconds: 60 })]
    expect(chosen(bound)).toBe('binding')
    expect(chosen(bound, bounds({ binding: 'dpop' }))).toEqual(['b', 60, []])
    expect(chosen(bound, bounds({ binding: 'mtls' }))).toEqual(['a', 600, []])
  })

  test("lets offers fall away that are shorter than the provider's floor", () => {
    const floor = bounds({ minTtlSeconds: 60 })
    expect(chosen([offer('a', { maxTtlSeconds: 59 })], floor)).toBe('lifetime')
    expect(chosen([offer('a', { maxTtlSeconds: 60 })], floor)).toEqual(['a', 60, []])
    expect(chosen([offer('a', { maxTtlSeconds: 59 }), offer('b', dba(1))], floor)).toEqual([
      'b',
      600,
      [{ group: 'dba', count: 1 }],
    ])
  })

  test('names the binding where both a binding and a lifetime were in the way', () => {
    expect(
      chosen([offer('a', { maxTtlSeconds: 1 }), offer('b', { binding: 'any' })], bounds({ minTtlSeconds: 2 })),
    ).toBe('binding')
  })

  test('refuses a lifetime of no whole second, even without a floor', () => {
    expect(chosen([offer('a')], bounds({ ttlSeconds: 0, minTtlSeconds: 0 }))).toBe('lifetime')
  })

  test("counts the grant's own requirement in every offer and lets no permit loosen it", () => {
    const require = { binding: 'mtls', maxTtlSeconds: 30, approval: { group: 'dba', count: 2 } } as const
    expect(chosen([offer('a')], bounds({ binding: 'dpop' }, require))).toBe('binding')
    const within = bounds({ binding: 'mtls' }, require)
    expect(chosen([offer('a', { binding: 'any' })], within)).toEqual(['a', 30, [{ group: 'dba', count: 2 }]])
    expect(chosen([offer('a', dba(1))], within)).toEqual(['a', 30, [{ group: 'dba', count: 2 }]])
    expect(chosen([offer('a', { approval: { group: 'leads', count: 1 } })], within)).toEqual([
      'a',
      30,
      [
        { group: 'leads', count: 1 },
        { group: 'dba', count: 2 },
      ],
    ])
  })
})
