import { describe, expect, test } from '@jest/globals'
import { plainText } from '../../../src/core/plain-text.js'
import { isQuorate, personKey, stateAt } from '../../../src/ledger/approval.js'

const people = (groups: Record<string, string[]>) =>
  Object.entries(groups).map(([key, of]) => ({ by: key, key, groups: of }))
const seats = (text: string) =>
  text.split(' ').map((one) => ({ group: one.split(':')[0] ?? '', count: Number(one.split(':')[1]) }))

describe('a quorum', () => {
  test.each([
    ['a:1', {}, false],
    ['a:1', { x: ['a'] }, true],
    ['a:2', { x: ['a'] }, false],
    ['a:2', { x: ['a'], y: ['b'] }, false],
    ['a:1 b:1', { x: ['a', 'b'] }, false],
    ['a:1 b:1', { x: ['a', 'b'], y: ['a'] }, true],
    ['a:1 b:1', { y: ['a'], x: ['a', 'b'] }, true],
    // Only one seating works, and it takes moving two.
    ['a:1 b:1 c:1', { x: ['a', 'b'], y: ['b', 'c'], z: ['a'] }, true],
    ['a:1 b:1 c:1', { x: ['a'], y: ['a', 'b'], z: ['b'] }, false],
    ['a:2 b:2', { w: ['a', 'b'], x: ['a', 'b'], y: ['a'], z: ['b'] }, true],
    ['a:2 b:2', { w: ['a', 'b'], x: ['a', 'b'], y: ['a'] }, false],
  ])('%s by %j: %s', (wanted, who, met) => {
    expect(isQuorate(seats(wanted), people(who))).toBe(met)
  })

  test('counts the same human once, however often named', () => {
    const twice = [...people({ x: ['a'] }), ...people({ x: ['a'] })]
    expect(isQuorate(seats('a:2'), twice)).toBe(false)
  })
})

test('somebody is counted by their person, or by who they are where the issuer names none', () => {
  expect(personKey({ by: 'a:x', person: 'o@acme' })).toBe(personKey({ by: 'b:y', person: 'o@acme' }))
  expect(personKey({ by: 'a:x', person: 'Olga@Acme.Example' })).toBe(
    personKey({ by: 'b:y', person: 'olga@acme.example' }),
  )
  expect(personKey({ by: 'a:x', person: null })).not.toBe(personKey({ by: 'b:y', person: null }))
  // A person who is called as somebody's id is nobody but themselves.
  expect(personKey({ by: 'b:y', person: 'a:x' })).not.toBe(personKey({ by: 'a:x', person: null }))
})

test('time is up for an approval that was not used, and for no other', () => {
  const at = (state: 'pending' | 'approved' | 'used' | 'denied') => stateAt({ state, expiresAt: 1000 }, 1000)
  expect([at('pending'), at('approved'), at('used'), at('denied')]).toEqual(['expired', 'expired', 'used', 'denied'])
  expect(stateAt({ state: 'pending', expiresAt: 1001 }, 1000)).toBe('pending')
})

test('text is shown without what is invisible or turns its direction', () => {
  const bidi = '\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
  const unseen = '\u0000\u001b\u007f\u0085\u00ad\u200b\u200c\u200d\u2060\ufeff\u2028\u2029\u034f\u3164\ufe0f\u{e0020}'
  expect(plainText(`a${bidi}b${unseen}c`)).toBe('abc')
  expect(plainText('Größe, 日本語, عربى, emoji 🙂 – fine')).toBe('Größe, 日本語, عربى, emoji 🙂 – fine')
})
